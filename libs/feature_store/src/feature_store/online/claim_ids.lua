-- Claims record ids of one partition by offset; the first offset to claim an id owns it.
--
-- KEYS    the claims of this generation of offsets, of the one before it, and of the one to forget: hashes of id -> offset
-- ARGV    the ids, 12 bytes each, end to end; their offsets, rising, 8 bytes each (compared as bytes, never read)
-- returns the numbers, from 1, of the ids that another offset owns
local ids, offsets = {}, {}
for number = 1, #ARGV[2] / 8 do
  ids[number] = string.sub(ARGV[1], number * 12 - 11, number * 12)
  offsets[number] = string.sub(ARGV[2], number * 8 - 7, number * 8)
end
local before = redis.call('HMGET', KEYS[2], unpack(ids))
local now = redis.call('HMGET', KEYS[1], unpack(ids))
local claimed, fresh, repeats = {}, {}, {}
for number, id in ipairs(ids) do
  local owner = before[number] or now[number] or claimed[id]
  if not owner then
    claimed[id] = offsets[number]
    fresh[#fresh + 1] = id
    fresh[#fresh + 1] = offsets[number]
  elseif owner ~= offsets[number] then
    repeats[#repeats + 1] = number
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[1], unpack(fresh))
end
redis.call('UNLINK', KEYS[3])
return repeats
