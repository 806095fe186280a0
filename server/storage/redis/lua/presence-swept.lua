-- For a Redis Cluster, after the users of a departed replica were removed from a topic: forgets that it had some there,
-- unless it has its lease again.
--
-- KEYS[1] sorted set of leases   [2] set of the topics where the replica has users
-- ARGV[1] replica   [2] topic
-- Result: 1, or 0 if it has a lease
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('SREM', KEYS[2], ARGV[2])
return 1
