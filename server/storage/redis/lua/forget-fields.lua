-- Deletes fields, with their tombstones, from a last-write-wins map (see write-fields.lua), if they still
-- have the given timestamp. The version stays, because no visible value has changed.
--
-- KEYS[1] hash   ARGV for each field: name, timestamp
-- Result: number of fields removed
local removed = 0
for i = 1, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  if stored and string.match(stored, '^%d+') == ARGV[i + 1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return removed
