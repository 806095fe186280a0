-- Adds to what a user has used of a quota, in fixed windows by the clock of Redis.
--
-- KEYS[1] hash: w number of the window, c used in it, p used in the one before
-- ARGV[1] length of a window, ms   [2] amount; negative: it was reserved, and is given back
-- Result: used in this window, used in the one before, age of this window in ms
local call = redis.call
local windowMs, amount = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = math.floor(now / windowMs)
local stored = call('HMGET', KEYS[1], 'w', 'c', 'p')
local last, current, previous = tonumber(stored[1] or '-1'), tonumber(stored[2] or '0'), tonumber(stored[3] or '0')
-- A window in the future means that the clock was set back.
if last ~= window then
  previous = last == window - 1 and current or 0
  current = 0
end
current = math.max(0, current + amount)
call('HSET', KEYS[1], 'w', string.format('%.0f', window), 'c', string.format('%.0f', current), 'p', string.format('%.0f', previous))
call('PEXPIRE', KEYS[1], 2 * windowMs)
return { current, previous, now - window * windowMs }
