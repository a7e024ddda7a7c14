-- Replaces rows by compare-and-set.
--
-- KEYS    one row key, or several where the server is no cluster: each is its own decision
-- ARGV    for each key: the expected revision (8 bytes, or none for "no row"), then the new row
-- returns for each key that was not replaced: its number, and what is stored there now
--
-- The revision is bytes 16 to 23 of a row (docs/formats.md); it is compared as bytes, never read as a number.
local conflicts = {}
for number, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 16, 23) == ARGV[2 * number - 1] then
    redis.call('SET', key, ARGV[2 * number])
  else
    conflicts[#conflicts + 1] = number
    conflicts[#conflicts + 1] = redis.call('GET', key)
  end
end
return conflicts
