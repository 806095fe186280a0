-- For a Redis Cluster: writes a session whose client is not connected, unless the stored one is newer.
--
-- KEYS[1] session   ARGV[1] time to live in ms   [2] '1' to overwrite   [3] its JSON after the header   [4] its updated_at
-- Result: 1 if the stored one was kept; 1 if it is held; bytes
--- @include "includes/session-values"
local newer, isHeld, size = putUnlessNewer(KEYS[1], ARGV[3], ARGV[4], ARGV[2], ARGV[1])
return { newer and 1 or 0, isHeld and 1 or 0, size }
