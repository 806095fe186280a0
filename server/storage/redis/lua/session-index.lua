-- For a Redis Cluster: keeps the index of the sessions of a user (see includes/session-index.lua). The sessions
-- themselves are in other slots.
--
-- KEYS[1] index   [2] sizes   ARGV[1] time to live in ms   [2] sessions of a user at most   [3] bytes of a user at most
--     [4] id of the session   [5] its bytes; empty: it leaves the index
-- Result: ids of sessions that are to be dropped
--- @include "includes/session-index"
if ARGV[5] == '' then
  forget(KEYS[1], KEYS[2], ARGV[4])
  return {}
end
local limits = { ttl = ARGV[1], maxSessions = tonumber(ARGV[2]), maxBytes = tonumber(ARGV[3]) }
remember(KEYS[1], KEYS[2], ARGV[4], tonumber(ARGV[5]) + overhead, now, limits.ttl)
local dropped = {}
keepLimits(KEYS[1], KEYS[2], limits, function(id) dropped[#dropped + 1] = id end)
return dropped
