-- Removes a field of one hash unless its rank is higher. KEYS[1]: the hash. ARGV: name, rank.
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and tonumber(string.match(stored, '^(-?%d+)|')) <= tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
