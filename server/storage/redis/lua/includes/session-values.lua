-- The values of sessions: JSON that begins with a header, {"version":2,"generation":<number>,"owner":<name or null>,

-- An id and a user_id, as JSON, are within this.
local headBytes = 4000

-- First of all writes: a full Redis refuses it, and then nothing has changed.
local function store(key, json, ttl)
  redis.call('SET', key, json, 'PX', ttl)
end

-- Whether another connection has claimed the session since: the rule `mayWrite` of sessions/session-lease.ts.
local function isClaimed(key, header, writerGeneration)
  local head = redis.pcall('GETRANGE', key, 0, 4095)
  -- A stored value that is not a session is overwritten.
  if type(head) ~= 'string' or string.sub(head, 1, #header) == header then return false end
  local generation = string.match(head, '^{"version":%d+,"generation":(%d+),')
  return generation ~= nil and tonumber(generation) >= tonumber(writerGeneration)
end

-- Drops a session. It may belong to somebody else meanwhile: restored from a backup, under the same id.
local function dropOf(key, owner)
  local head = redis.pcall('GETRANGE', key, 0, headBytes)
  if type(head) == 'string' and string.find(head, owner, 1, true) then redis.call('DEL', key) end
end

-- Stores a session whose client is not connected, unless the stored one is newer. The lease of a stored session stays
-- as it is. Returns whether the stored one is newer, whether it is held, and the bytes.
local function putUnlessNewer(key, body, updatedAt, overwrite, ttl)
  local isHeld, header = false, '{"version":2,"generation":0,"owner":null,'
  -- A stored value that is not a session is overwritten.
  local stored = redis.pcall('GET', key)
  if type(stored) == 'string' then
    local held = string.match(stored, '^{"version":2,"generation":%d+,"owner":"[^"]*",')
    local known = held or string.match(stored, '^{"version":2,"generation":%d+,"owner":null,')
    -- A retired session has nothing else.
    if known and string.sub(stored, #known + 1) ~= '"retired":true}' then
      header, isHeld = known, held ~= nil
    end
    if overwrite ~= '1' then
      local readable, session = pcall(cjson.decode, stored)
      if readable and type(session) == 'table' and type(session.updated_at) == 'number'
        and session.updated_at > tonumber(updatedAt) then return true, isHeld, 0 end
    end
  end
  store(key, header .. body, ttl)
  return false, isHeld, #header + #body
end
