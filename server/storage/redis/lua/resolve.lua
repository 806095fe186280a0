-- Returns the outcome of a batch whose response was lost. If the batch was not applied, its number is marked
-- as used, so that it cannot be applied later.
--
-- KEYS[1] meta hash
-- ARGV[1] writer   [2] batch number   [3] now, ms   [4] meta TTL ms
--     [5] the position that the caller had seen when it sent the batch (see epoch.lua)
-- Result: the batch's answer (see append.lua); "cancelled" if it was not applied; "lost" if the log has lost what the
-- caller had seen: then it may have lost the batch, too.
--- @include "includes/epoch"
local field = 'w:' .. ARGV[1]
local last = redis.call('HGET', KEYS[1], field)
if last then
  local number, answer = string.match(last, '^(%d+) %d+ (.*)$')
  if tonumber(number) == tonumber(ARGV[2]) and answer ~= 'cancelled' then return answer end
  if tonumber(number) >= tonumber(ARGV[2]) then return 'cancelled' end
end
local meta = redis.call('HMGET', KEYS[1], 'e', 's', 'p')
local answer = isGone(meta[1], meta[2], meta[3], ARGV[5]) and 'lost' or 'cancelled'
redis.call('HSET', KEYS[1], field, ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. answer)
-- The expiry is only ever extended: the last append may have set a later one.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return answer
