-- For a Redis Cluster: writes a session, unless another connection has claimed it (see includes/session-values.lua). The
-- index of its user is in another slot, and follows by session-index.lua.
--
-- KEYS[1] session   ARGV[1] time to live in ms   [2] generation of the writer   [3] header of the writer   [4] the session
-- Result: 1, or 0 if it was not written
--- @include "includes/session-values"
if isClaimed(KEYS[1], ARGV[3], ARGV[2]) then return 0 end
store(KEYS[1], ARGV[4], ARGV[1])
return 1
