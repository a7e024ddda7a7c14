-- Deletes a row by compare-and-delete.
--
-- KEYS    one row key
-- ARGV    the expected revision, 8 bytes (docs/formats.md)
-- returns 1 if it is gone, 0 if another row is there
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
if redis.call('GETRANGE', KEYS[1], 16, 23) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
