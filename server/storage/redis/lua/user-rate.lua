-- Takes commands from the sliding window of a user: ten slots of 100 ms. Uses the clock of Redis, because the
-- clocks of replicas may differ.
--
-- KEYS[1] hash of the user: number of a slot, commands granted in it
-- ARGV[1] commands per second   [2] commands wanted
-- Result: commands granted; if less than wanted, ms until the oldest slot leaves the window, else 0
local call = redis.call
local key, rate, want = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slot = math.floor(now / 100)

local fields = call('HGETALL', key)
local used, oldest, past = 0, slot, {}
for i = 1, #fields, 2 do
  local number = tonumber(fields[i])
  -- A slot in the future means that the clock was set back.
  if number <= slot - 10 or number > slot then
    past[#past + 1] = fields[i]
  else
    used = used + tonumber(fields[i + 1])
    if number < oldest then oldest = number end
  end
end

local granted = math.max(0, math.min(want, math.floor(rate) - used))
if granted > 0 then
  call('HINCRBY', key, string.format('%d', slot), granted)
  call('PEXPIRE', key, 2000)
end
-- HDEL comes after the writes that Redis refuses when its memory is full: after HDEL it would no longer check
-- that.
if #past > 0 then call('HDEL', key, unpack(past)) end
if granted >= want then return { granted, 0 } end
return { granted, (oldest + 10) * 100 - now }
