-- For a Redis Cluster: drops a session that is too much for its user.
--
-- KEYS[1] session   ARGV[1] the member user_id as it is in it
--- @include "includes/session-values"
dropOf(KEYS[1], ARGV[1])
