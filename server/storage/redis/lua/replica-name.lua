-- Takes a configured name over from earlier processes that had it. A process without a subscription of its channel
-- has ended: its lease ends now. One that has a subscription may be alive.
--
-- KEYS[1] to [4] as in replicas.lua
-- ARGV[1] replica   [2] its name   [3] beginning of the channel of a replica   [4] "sharded": channels of replicas belong to slots
-- Result: empty, or the replica that may be alive and the time of its last heartbeat
local replica, name = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function subscriptions(other)
  -- An ACL may not allow it: then only the lease counts.
  local channel = ARGV[3] .. other
  local reply = ARGV[4] == 'sharded' and redis.pcall('PUBSUB', 'SHARDNUMSUB', channel) or redis.pcall('PUBSUB', 'NUMSUB', channel)
  return reply.err and 1 or tonumber(reply[2])
end

-- Version 0.1 registers under the name itself, without a record.
local holders = { name }
local records = redis.call('HGETALL', KEYS[4])
for i = 1, #records, 2 do
  local isRecord, record = pcall(cjson.decode, records[i + 1])
  if isRecord and type(record) == 'table' and record.name == name then holders[#holders + 1] = records[i] end
end
local held = {}
for _, other in ipairs(holders) do
  local at = redis.call('ZSCORE', KEYS[2], other) or redis.call('ZSCORE', KEYS[1], other)
  if other ~= replica and at then
    if subscriptions(other) == 0 then
      redis.call('ZREM', KEYS[1], other)
      redis.call('ZREM', KEYS[2], other)
      redis.call('ZADD', KEYS[3], now, other)
    else
      held = { other, at }
    end
  end
end
return held
