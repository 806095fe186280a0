-- Writes fields of a stamped map (see SharedStore) in one step, all with one new stamp, which is greater than every one in the map.
--
-- KEYS[1] hash: each field "<stamp> <value>", or "<stamp>" alone where it was removed; #version: never below the stamp of any field
-- ARGV[1] a stamp that the new one must exceed   [2] number of fields with a value   then those, each with its value, then the removed ones
-- Result: the stamp, as text
local call = redis.call
local time = call('TIME')
local stamp = math.max(time[1] * 1000000 + time[2], tonumber(ARGV[1]) + 1)
-- A version that is no number is none of this format.
local version = tonumber(call('HGET', KEYS[1], '#version'))
if version then stamp = math.max(stamp, version + 1) end
local text = string.format('%.0f', stamp)

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
