-- The sessions of a user whose clients are not connected: an index of them, and their sizes.
--
-- The index is a sorted set: id by the time of its last write, in microseconds. The sizes are a hash: id to
-- bytes; the empty field has their sum. Above the limits of a user, the oldest sessions are dropped.
-- Functions get ttl (ms), maxSessions and maxBytes (0: no limit) in `limits`.
local call = redis.call
-- Memory of a session in Redis beside its JSON.
local overhead = 256
-- What one call removes at most: Redis is blocked meanwhile.
local expiredMax, droppable = 100, 1000

local time = call('TIME')
local now = time[1] * 1000000 + time[2]

local function remember(index, sizes, id, size, at, ttl)
  local before = tonumber(call('HGET', sizes, id) or '0')
  call('ZADD', index, string.format('%.0f', at), id)
  call('HSET', sizes, id, size)
  call('HINCRBY', sizes, '', size - before)
  call('PEXPIRE', index, ttl)
  call('PEXPIRE', sizes, ttl)
end

local function forget(index, sizes, id)
  if call('ZREM', index, id) == 0 then return end
  local size = tonumber(call('HGET', sizes, id) or '0')
  if call('EXISTS', index) == 0 then
    call('DEL', sizes)
  else
    call('HDEL', sizes, id)
    call('HINCRBY', sizes, '', -size)
  end
end

-- drop: called with the id of each session that is too much
local function keepLimits(index, sizes, limits, drop)
  -- These are gone, or have been written by a replica that does not know the index.
  local expired = string.format('%.0f', now - tonumber(limits.ttl) * 1000)
  for _, id in ipairs(call('ZRANGEBYSCORE', index, '-inf', expired, 'LIMIT', 0, expiredMax)) do
    forget(index, sizes, id)
  end
  local dropped = 0
  while droppable > 0 do
    local tooMany = limits.maxSessions > 0 and call('ZCARD', index) > limits.maxSessions
    local tooLarge = limits.maxBytes > 0 and tonumber(call('HGET', sizes, '') or '0') > limits.maxBytes
    if not tooMany and not tooLarge then break end
    local oldest = call('ZRANGE', index, 0, 0)[1]
    if oldest == nil then break end
    forget(index, sizes, oldest)
    drop(oldest)
    dropped, droppable = dropped + 1, droppable - 1
  end
  return dropped
end
