-- Registers a replica as live and lists the live ones. Times are those of Redis, because the clocks of
-- replicas may differ.
--
-- KEYS[1] sorted set of replicas by the time of their last heartbeat, ms
-- ARGV[1] replica   [2] ms without a heartbeat after which a replica is not live
-- Result: the live replicas
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return redis.call('ZRANGE', KEYS[1], 0, -1)
