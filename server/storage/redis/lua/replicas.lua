-- Renews the lease of a replica, ends leases that have run out, and lists the replicas. Times are those of Redis,
-- because the clocks of replicas may differ.
--
-- A replica whose lease ends is departed: what it has left behind is still to be removed. Only a replica that has
-- had its own lease all the time ends those of others. To one that has lost its lease, or is new, they may look old
-- because Redis has lost them or has another clock now: it gives every known replica a new lease.
--
-- KEYS[1] sorted set of replicas by the time of their last heartbeat, ms: all that version 0.1 knows
-- KEYS[2] sorted set of leases: replica, time of its last heartbeat   [3] sorted set of the departed, by time
-- KEYS[4] hash of records: replica, what it says of itself
-- KEYS[5] counts the heartbeats of all replicas: a smaller number than a replica has seen shows that Redis has lost writes
-- ARGV[1] replica   [2] length of a lease, ms   [3] its record
-- Result: 1 if the replica had its lease all the time, else 0; the live replicas; those of them without a record,
-- which have version 0.1; the departed; the number of heartbeats, this one included
local replica, lease = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local own = tonumber(redis.call('ZSCORE', KEYS[2], replica) or '')
local steady = own ~= nil and math.abs(now - own) <= lease

-- The removal comes first: after it, Redis accepts the few bytes of a lease also when its memory is full.
redis.call('ZREM', KEYS[3], replica)
redis.call('ZADD', KEYS[1], now, replica)
redis.call('ZADD', KEYS[2], now, replica)
local count = redis.call('INCR', KEYS[5])
if redis.call('HGET', KEYS[4], replica) ~= ARGV[3] then redis.call('HSET', KEYS[4], replica, ARGV[3]) end

-- Replicas of version 0.1 have no lease of their own.
local beats = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  local other, at = beats[i], tonumber(beats[i + 1])
  local leased = tonumber(redis.call('ZSCORE', KEYS[2], other) or '')
  if math.abs(now - at) <= lease and (leased == nil or leased < at) then
    redis.call('ZREM', KEYS[3], other)
    redis.call('ZADD', KEYS[2], at, other)
  end
end

local function depart(other)
  redis.call('ZREM', KEYS[1], other)
  redis.call('ZREM', KEYS[2], other)
  redis.call('ZADD', KEYS[3], now, other)
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', now - lease))) do
  if steady then depart(other) else redis.call('ZADD', KEYS[2], now, other) end
end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now + lease), '+inf')) do
  redis.call('ZADD', KEYS[2], now, other)
end
for _, other in ipairs(redis.call('HKEYS', KEYS[4])) do
  if not redis.call('ZSCORE', KEYS[2], other) and not redis.call('ZSCORE', KEYS[3], other) then
    if steady then depart(other) else redis.call('ZADD', KEYS[2], now, other) end
  end
end

local live, unrecorded = redis.call('ZRANGE', KEYS[2], 0, -1), {}
for _, other in ipairs(live) do
  if redis.call('HEXISTS', KEYS[4], other) == 0 then unrecorded[#unrecorded + 1] = other end
end
return { steady and 1 or 0, live, unrecorded, redis.call('ZRANGE', KEYS[3], 0, -1), count }
