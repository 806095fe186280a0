-- Writes fields of a last-write-wins map (see SharedStore) in one step. All get the same new timestamp, which
-- is greater than any in the map.
--
-- KEYS[1] hash: each field is "<timestamp> <value>", or "<timestamp>" alone for a tombstone; #version is
--     at least the timestamp of any field
-- ARGV[1] the new timestamp must be greater than this   [2] number of fields with a value
--     then those, each with its value, then removed fields
-- Result: the timestamp, as text
--- @include "includes/operators-first"
local call = redis.call
local time = call('TIME')
local timestamp = math.max(time[1] * 1000000 + time[2], tonumber(ARGV[1]) + 1)
-- A version that is not a number was not written by this script.
local version = tonumber(call('HGET', KEYS[1], '#version'))
if version then timestamp = math.max(timestamp, version + 1) end
local text = string.format('%.0f', timestamp)

local at = 3
for _ = 1, tonumber(ARGV[2]) do
  call('HSET', KEYS[1], ARGV[at], text .. ' ' .. ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do
  call('HSET', KEYS[1], ARGV[i], text)
end
call('HSET', KEYS[1], '#version', text)
return text
