-- Removes fields, with their tombstones, from a stamped map (see stamp-fields.lua), where they still have the given stamp. The version
-- stays: nothing that anybody sees has changed.
--
-- KEYS[1] hash   ARGV for each field: name, stamp
-- Result: number of fields removed
local removed = 0
for i = 1, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  if stored and string.match(stored, '^%d+') == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return removed
