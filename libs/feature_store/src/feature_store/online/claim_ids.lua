-- Claims record ids of one partition by offset; the first offset to claim an id owns it.
--
-- KEYS    the claims of this generation of offsets, of the one before it, and of the one to forget: hashes of id -> offset
-- ARGV    n ids, then their n offsets, rising
-- returns the numbers, from 1, of the ids that another offset owns
local n = #ARGV / 2
local before = redis.call('HMGET', KEYS[2], unpack(ARGV, 1, n))
local now = redis.call('HMGET', KEYS[1], unpack(ARGV, 1, n))
local claimed, fresh, repeats = {}, {}, {}
for number = 1, n do
  local id, offset = ARGV[number], ARGV[n + number]
  local owner = before[number] or now[number] or claimed[id]
  if not owner then
    claimed[id] = offset
    fresh[#fresh + 1] = id
    fresh[#fresh + 1] = offset
  elseif owner ~= offset then
    repeats[#repeats + 1] = number
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[1], unpack(fresh))
end
redis.call('UNLINK', KEYS[3])
return repeats
