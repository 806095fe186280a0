-- Idempotency keys. A key is stored at "<prefix>:{<topic>}:k:<key>", its value is "<sequence>:<epoch>:<id>" of
-- the first message with it. With `topics.idempotency_scope = "sender"` the value continues with ":<sender>",
-- and the key counts for that sender only. A second sender with the same key stores it at
-- "<prefix>:{<topic>}:o:<sender>:<key>". The first key then lives on as long as the second, so usually one call
-- finds out that a key is new; ":<ms>" at its end is the time from which it no longer counts for its own sender.
--
-- A replica of version 0.1 reads and writes the first form only: beside it, keys belong to the topic, as before.

-- What is not text under the name of a key, somebody else has put there: it counts as no value, and is overwritten.

-- Keys that the batch has stored so far: they are removed if the batch fails.
local storedKeys = {}

local function setKey(key, value, ttl)
  redis.call('SET', key, value, 'PX', ttl)
  storedKeys[#storedKeys + 1] = key
end

local function removeStoredKeys()
  if #storedKeys > 0 then redis.pcall('DEL', unpack(storedKeys)) end
end

local function getKey(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end

-- The value of the first message with a key, without its sender; nil if the key is new to this sender.
-- value: "<id>", or "<id>:<sender>"
local function findKey(logKey, key, value)
  local call = redis.call
  local known = getKey(key)
  if not known then return nil end
  local first, rest = string.match(known, '^([^:]*:[^:]*:[^:]*):?(.*)$')
  local sender = string.match(value, '^[^:]*:(.+)$')
  if not sender or rest == '' then return first or known end
  local knownSender, validUntil = string.match(rest, '^([^:]*):?(%d*)$')
  if knownSender == sender then
    local time = call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    return (validUntil == '' or now < tonumber(validUntil)) and first or nil
  end
  local own = getKey(string.sub(logKey, 1, -4) .. 'o:' .. sender .. ':' .. string.sub(key, #logKey))
  return own and string.match(own, '^[^:]*:[^:]*:[^:]*') or nil
end

-- Stores a key with the value of a message that is new. If the key is known, stores nothing and returns the
-- value of the first message, without its sender.
local function storeKey(logKey, key, value, ttl)
  local call = redis.call
  -- Usually the key is new, and one call is enough.
  if call('SET', key, value, 'NX', 'PX', ttl) then
    storedKeys[#storedKeys + 1] = key
    return nil
  end
  local known = getKey(key)
  if not known then
    setKey(key, value, ttl)
    return nil
  end
  local first, rest = string.match(known, '^([^:]*:[^:]*:[^:]*):?(.*)$')
  local sender = string.match(value, '^[^:]*:[^:]*:[^:]*:(.+)$')
  -- One of them belongs to the topic.
  if not sender or rest == '' then return first or known end
  local knownSender, validUntil = string.match(rest, '^([^:]*):?(%d*)$')
  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if knownSender == sender then
    if validUntil == '' or now < tonumber(validUntil) then return first end
    setKey(key, value, ttl)
    return nil
  end
  -- logKey is "<prefix>:{<topic>}:log".
  local own = string.sub(logKey, 1, -4) .. 'o:' .. sender .. ':' .. string.sub(key, #logKey)
  if not call('SET', own, value, 'NX', 'PX', ttl) then
    local first = getKey(own)
    if first then return string.match(first, '^[^:]*:[^:]*:[^:]*') end
    setKey(own, value, ttl)
  else
    storedKeys[#storedKeys + 1] = own
  end
  if validUntil == '' then known = known .. ':' .. string.format('%.0f', now + call('PTTL', key)) end
  call('SET', key, known, 'PX', ttl)
  return nil
end

-- For a log that is full: a word for each message of a batch, the value of the first message with its key, or "#".
-- Nil if no key is known.
local function repetitions(logKey, firstKey, keyed, lengths)
  local firsts, any, at = {}, false, firstKey
  for index, id in string.gmatch(keyed, '(%d+):(%S+) ') do
    firsts[tonumber(index)] = findKey(logKey, KEYS[at], id)
    any = any or firsts[tonumber(index)] ~= nil
    at = at + 1
  end
  if not any then return nil end
  local words = {}
  for _ in string.gmatch(lengths, '%d+') do words[#words + 1] = firsts[#words + 1] or '#' end
  return table.concat(words, ' ')
end
