-- Restores fields of a last-write-wins map (see write-fields.lua) with their timestamps, if the map lacks
-- them or has an older value. If a field is written, the map gets a new version.
--
-- KEYS[1] hash   ARGV for each field: name, "<timestamp> <value>" or "<timestamp>"
-- Result: number of fields written
--- @include "includes/operators-first"
local call = redis.call
local function timestampOf(text)
  return tonumber(text and (string.match(text, '^(%d+) ') or string.match(text, '^%d+$'))) or 0
end

local written, greatest = 0, 0
for i = 1, #ARGV, 2 do
  local stored, timestamp = call('HGET', KEYS[1], ARGV[i]), timestampOf(ARGV[i + 1])
  if not stored or timestampOf(stored) < timestamp then
    call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    written, greatest = written + 1, math.max(greatest, timestamp)
  end
end
if written > 0 then
  local time = call('TIME')
  local version = math.max(time[1] * 1000000 + time[2], greatest + 1)
  local stored = tonumber(call('HGET', KEYS[1], '#version'))
  if stored then version = math.max(version, stored + 1) end
  call('HSET', KEYS[1], '#version', string.format('%.0f', version))
end
return written
