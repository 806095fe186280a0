-- Writes a session, unless another connection has claimed it (see includes/session-values.lua).
--
-- KEYS[1] session   [2] index of its user   [3] sizes of those in it (see includes/session-index.lua)
-- ARGV[1] time to live in ms   [2] sessions of a user at most   [3] bytes of a user at most
--     [4] prefix of the keys of sessions   [5] generation of the writer   [6] header of the writer   [7] its id
--     [8] the session   [9] the member user_id as it is in it   [10] '1' if it is held
-- Result: number of sessions that were dropped; -1 if it was not written
--- @include "includes/session-values"
--- @include "includes/session-index"
if isClaimed(KEYS[1], ARGV[6], ARGV[5]) then return -1 end
local limits = { ttl = ARGV[1], maxSessions = tonumber(ARGV[2]), maxBytes = tonumber(ARGV[3]) }
store(KEYS[1], ARGV[8], limits.ttl)
if ARGV[10] == '1' then
  forget(KEYS[2], KEYS[3], ARGV[7])
  return 0
end
remember(KEYS[2], KEYS[3], ARGV[7], #ARGV[8] + overhead, now, limits.ttl)
return keepLimits(KEYS[2], KEYS[3], limits, function(id) dropOf(ARGV[4] .. id, ARGV[9]) end)
