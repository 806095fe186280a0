-- For a Redis Cluster, before users of a replica are written in the slot of a topic: notes the topic, so that those who
-- remove them find it, if the replica has its lease. The set may have more topics than the replica has users on.
--
-- KEYS[1] sorted set of leases   [2] set of the topics where the replica has users
-- ARGV[1] replica   [2] topic   [3] TTL ms
-- Result: 1, or 0 without a lease
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
