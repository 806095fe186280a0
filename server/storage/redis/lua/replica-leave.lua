-- Ends the lease of a replica that stops. If it could not remove its users before, others do that.
--
-- KEYS[1] to [4] as in replicas.lua   [5] set of the topics where the replica has users
-- ARGV[1] replica
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('EXISTS', KEYS[5]) == 1 then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
else
  redis.call('HDEL', KEYS[4], ARGV[1])
end
