-- Moves fields of one hash forward: see ledger.py.
-- KEYS[1]: the hash. ARGV: keep_ms, 1 to return the hash whole, how many counters to return, their names,
-- then (name, rank, value, counter) for each entry. A field is stored as "rank|value", a counter as "#name".
local hash, keep_ms, whole, wanted = KEYS[1], tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local changed = 0
for i = 4 + wanted, #ARGV, 4 do
  local name, rank, value, counter = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local stored = redis.call('HGET', hash, name)
  if not stored or tonumber(rank) > tonumber(string.match(stored, '^(-?%d+)|')) then
    redis.call('HSET', hash, name, rank .. '|' .. value)
    changed = changed + 1
    if not stored and counter ~= '' then
      redis.call('HINCRBY', hash, '#' .. counter, 1)
    end
  end
end
if changed > 0 then
  redis.call('HINCRBY', hash, '#changes', changed)
end
if redis.call('PTTL', hash) < keep_ms then
  redis.call('PEXPIRE', hash, keep_ms)
end
if whole then
  return redis.call('HGETALL', hash)
end
local reply = { changed }
for i = 4, 3 + wanted do
  reply[#reply + 1] = tonumber(redis.call('HGET', hash, '#' .. ARGV[i]) or 0)
end
return reply
