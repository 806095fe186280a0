-- The shares of senders in an inbox. The hash "<name of the log without :log>:from" has the messages and bytes of
-- all senders at "n" and "b", those of one sender at "n:<sender>" and "b:<sender>", and "<bytes> <sender>" for each
-- message at its sequence. A sender is written as in the entry, as JSON.

-- The sender of an entry (see entry.ts). In its JSON, quotation marks are escaped.
local function senderOf(entry)
  return string.match(entry, '"sender":(.-),"timestamp":%d') or ''
end

local function addShare(shares, sequence, bytes, sender)
  shares[sequence] = bytes .. ' ' .. sender
  for field, count in pairs({ n = 1, b = bytes, ['n:' .. sender] = 1, ['b:' .. sender] = bytes }) do
    shares[field] = (shares[field] or 0) + count
  end
end

-- The shares as the messages themselves have them: a replica of version 0.1 does not keep the hash.
local function readShares(logKey)
  local shares, from = {}, '-'
  repeat
    local rows = redis.call('XRANGE', logKey, from, '+', 'COUNT', 50)
    for _, row in ipairs(rows) do
      local sequence = string.match(row[1], '^%d+')
      addShare(shares, sequence, #row[2][2], senderOf(row[2][2]))
      from = sequence .. '-1'
    end
  until #rows < 50
  return shares
end

-- Decides which messages of a batch find room in the shares of their senders.
-- keyOf: by index, { key, id }   Returns the duplicates, with '!' for a refused message, and a function that stores
-- the shares, which must be called after the messages are stored, and returns "<messages>/<bytes>" of the inbox.
local function admitByShare(logKey, retention, lengths, blob, keyOf, epoch, sequence)
  local call = redis.call
  local fromKey = string.sub(logKey, 1, -4) .. 'from'
  local stored = call('HGET', fromKey, 'n')
  local isStale = tonumber(stored or '0') ~= call('XLEN', logKey)
  local shares = isStale and readShares(logKey) or {}
  local function share(field)
    if shares[field] == nil then shares[field] = isStale and 0 or tonumber(call('HGET', fromKey, field) or '0') end
    return shares[field]
  end

  local duplicates, index, at = nil, 0, 1
  for length in string.gmatch(lengths, '%d+') do
    index = index + 1
    local bytes = tonumber(length)
    local sender = senderOf(string.sub(blob, at, at + bytes - 1))
    local keyed = keyOf[index]
    local outcome
    if keyed then outcome = findKey(logKey, keyed.key, keyed.id) end
    if not outcome and (share('n:' .. sender) >= retention.senderFullAt
      or share('b:' .. sender) + bytes > retention.senderFullBytes
      or share('b') + bytes > retention.fullBytes) then
      outcome = '!'
    end
    if outcome then
      duplicates = duplicates or {}
      duplicates[index] = outcome
    else
      sequence = sequence + 1
      if keyed then storeKey(logKey, keyed.key, sequence .. ':' .. epoch .. ':' .. keyed.id, retention.keyTtl) end
      share('n')
      addShare(shares, tostring(sequence), bytes, sender)
    end
    at = at + bytes
  end

  return duplicates, function(ttl)
    local flat, size = {}, share('n') .. '/' .. share('b')
    for field, value in pairs(shares) do
      -- A sender of refused messages only must not leave fields: nothing would remove them.
      if value ~= 0 then
        flat[#flat + 1] = field
        flat[#flat + 1] = value
      end
    end
    if #flat == 0 then return size end
    -- DEL must not be the first write of a script, see append.lua.
    call('HSET', fromKey, 'n', share('n'))
    if isStale then call('DEL', fromKey) end
    for i = 1, #flat, 1000 do call('HSET', fromKey, unpack(flat, i, math.min(i + 999, #flat))) end
    call('PEXPIRE', fromKey, ttl)
    return size
  end
end
