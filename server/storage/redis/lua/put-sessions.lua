-- Writes sessions, unless the stored session is newer. Those whose clients are not connected are in an index
-- of their user. Above the limits of a user, the oldest sessions in it are dropped.
--
-- KEYS for each session: its key
--   index of its user, a sorted set: id by the time of its last write, in microseconds
--   sizes of those in the index, a hash: id to bytes; the empty field has their sum
-- ARGV[1] time to live in ms   [2] '1' to overwrite   [3] '1' if the clients are connected
--   [4] sessions of a user at most   [5] bytes of a user at most; 0: no limit   [6] prefix of the keys of sessions
--   then for each session: its id, its JSON, its updated_at, the member user_id as it is in the JSON
-- Result: number of stored sessions that were kept, then for each session the number of those dropped for it
local call = redis.call
local ttl, maxSessions, maxBytes, prefix = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
-- Memory of a session in Redis beside its JSON.
local overhead = 256
-- What one call removes at most: Redis is blocked meanwhile.
local expiredMax, droppable = 100, 1000
-- An id and a user_id, as JSON, are within this.
local headBytes = 4000

local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- First of all writes: a full Redis refuses it, and then nothing has changed.
local function store(key, json)
  call('SET', key, json, 'PX', ttl)
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

local function remember(index, sizes, id, size, at)
  local before = tonumber(call('HGET', sizes, id) or '0')
  call('ZADD', index, string.format('%.0f', at), id)
  call('HSET', sizes, id, size)
  call('HINCRBY', sizes, '', size - before)
  call('PEXPIRE', index, ttl)
  call('PEXPIRE', sizes, ttl)
end

-- A session may belong to somebody else meanwhile: restored from a backup, under the same id.
local function isOf(key, owner)
  local head = redis.pcall('GETRANGE', key, 0, headBytes)
  return type(head) == 'string' and string.find(head, owner, 1, true) ~= nil
end

local function keepLimits(index, sizes, owner)
  -- These are gone, or have been written by a replica that does not know the index.
  local expired = string.format('%.0f', now - tonumber(ttl) * 1000)
  for _, id in ipairs(call('ZRANGEBYSCORE', index, '-inf', expired, 'LIMIT', 0, expiredMax)) do
    forget(index, sizes, id)
  end
  local dropped = 0
  while droppable > 0 do
    local tooMany = maxSessions > 0 and call('ZCARD', index) > maxSessions
    local tooLarge = maxBytes > 0 and tonumber(call('HGET', sizes, '') or '0') > maxBytes
    if not tooMany and not tooLarge then break end
    local oldest = call('ZRANGE', index, 0, 0)[1]
    if oldest == nil then break end
    forget(index, sizes, oldest)
    if isOf(prefix .. oldest, owner) then call('DEL', prefix .. oldest) end
    dropped, droppable = dropped + 1, droppable - 1
  end
  return dropped
end

local result = { 0 }
for i = 1, #KEYS / 3 do
  local key, index, sizes = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local id, json, updatedAt, owner = ARGV[4 * i + 3], ARGV[4 * i + 4], ARGV[4 * i + 5], ARGV[4 * i + 6]
  local newer = false
  if ARGV[2] ~= '1' then
    -- A stored value that is not a session is overwritten.
    local stored = redis.pcall('GET', key)
    if type(stored) == 'string' then
      local readable, session = pcall(cjson.decode, stored)
      newer = readable and type(session) == 'table' and type(session.updated_at) == 'number'
        and session.updated_at > tonumber(updatedAt)
    end
  end
  result[i + 1] = 0
  if newer then
    result[1] = result[1] + 1
  else
    store(key, json)
    if ARGV[3] == '1' then
      forget(index, sizes, id)
    else
      remember(index, sizes, id, #json + overhead, now + i)
      result[i + 1] = keepLimits(index, sizes, owner)
    end
  end
end
return result
