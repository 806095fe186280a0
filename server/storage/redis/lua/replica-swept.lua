-- Forgets a departed replica once all its users are removed.
--
-- KEYS[1] sorted set of leases   [2] sorted set of the departed   [3] hash of records
-- KEYS[4] set of the topics where the replica has users
-- ARGV[1] replica
if redis.call('ZSCORE', KEYS[1], ARGV[1]) or redis.call('EXISTS', KEYS[4]) == 1 then return end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
