-- Moves a partition's share forward, or changes nothing: see redis.py.
-- KEYS[1]: the hash. ARGV: the offset it must be at, keep_ms, the new mark "offset event_us", then (name, value)s.
local stored = redis.call('HGET', KEYS[1], '@')
local offset = stored and string.match(stored, '^%d+') or '0'
if offset ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], '@', ARGV[3])
for i = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
