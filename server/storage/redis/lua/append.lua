-- Appends batches to the logs of one or more topics in one atomic step: finds duplicates by key, assigns
-- sequences, stores and publishes. One call takes several topics, because the call itself costs as much as
-- the work for one topic. Each topic is appended or refused independently of the others.
--
-- KEYS for each topic: log stream, meta hash, then the idempotency keys of its messages, in order
-- ARGV[1] id of the Redis process, as the caller read it last; names of its history (see epoch.lua); writer (one
--         process of a replica); now, ms; a fresh epoch (if a topic needs it, the topic's index in this call is
--         added to it); bytes of the prefix of keys, and what the name of a channel has behind it, or "-",
--         or "sharded": channels belong to slots, as in a Redis Cluster.
--     [2] one line for each topic: index of its retention, with "!" if the topic must exist; batch number, ascending per writer; bytes;
--         number of idempotency keys; the position that the caller has seen (see epoch.lua); then the length of
--         each entry in bytes. A few long arguments are cheaper than many short ones.
--     [3] the entries of all topics, one after the other
--     [4] one line for each topic with idempotency keys: "<index from 1>:<id> " for each message with a key, or
--         "<index from 1>:<id>:<sender> " if its key belongs to the sender
--     [5...] retentions: history size; history TTL ms; idempotency window ms; meta TTL ms; number of messages
--         with which the log is full, or 0; and if it is an inbox: bytes with which it is full; messages and
--         bytes of one sender, else 0 0 0
-- Result: an error OTHERHISTORY if this Redis does not continue the history that the caller knows; nothing is stored.
-- Else for each topic one of
--     "stale"         this batch number was cancelled or has been used
--     "absent"        the topic has no message yet, and must exist
--     "full"          the log is full; nothing of the batch is stored
--     "error <text>"  Redis refused a command; nothing of the batch is stored
--     "<epoch> <receivers> <first new sequence>", and if there are duplicates, for each message " +", or
--                     " <sequence>:<epoch>:<id>" for a duplicate, or " !" if the sender has used up its share,
--                     or " #" if the log is full. Of an inbox, "/<messages>/<bytes>" that it holds follow the sequence.
--
-- The meta hash: e epoch, s sequence, r Redis process and i history of the last write, x time of the last expiry
-- update, p earlier epochs "epoch:sequence,..." newest first, z sequence of the last message that was not to be
-- stored (history size 0), c when a read created it, ms, w:<writer> "<batch number> <ms> <result>" for the last batch
-- applied from that writer. Version 0.1 has no i, z and c, and keeps them.
--- @include "includes/epoch"
--- @include "includes/idempotency"
--- @include "includes/inbox-shares"
local call = redis.call
local process, histories, writer, now, freshEpoch, prefixBytes, channelMark =
  string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%d+) (%S+) (%d+) (%S+)$')
local history = string.match(histories, '^[^,]*')
local sharded = channelMark == 'sharded'
-- The caller asks for the history from time to time only. In between, this Redis may have been demoted, have taken over
-- a shorter log, and been promoted again. Nothing else that a script can read shows that: not ROLE, and no key, because
-- the offset and the keys are then those of an earlier moment. Costs about 3 microseconds for all topics of the call. A
-- pattern costs more than a plain search, and a call of TIME, to look less often, costs as much as it saves.
local replication = call('INFO', 'replication')
if not string.find(replication, 'master_replid:' .. history, 1, true) then
  local name = string.match(replication, 'master_replid:(%S+)')
  if name then return redis.error_reply('OTHERHISTORY ' .. name) end
end
local mark = 'w:' .. writer
local nextKeyed = ARGV[4] ~= '' and string.gmatch(ARGV[4], '([^\n]*)\n') or nil
local retentions = {}
for i = 5, #ARGV do
  local size, historyTtl, keyTtl, metaTtl, fullAt, fullBytes, senderFullAt, senderFullBytes =
    string.match(ARGV[i], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  retentions[i - 4] = {
    size = tonumber(size), historyTtl = tonumber(historyTtl), keyTtl = keyTtl, metaTtl = metaTtl, fullAt = tonumber(fullAt),
    fullBytes = tonumber(fullBytes), senderFullAt = tonumber(senderFullAt), senderFullBytes = tonumber(senderFullBytes)
  }
end

local function append(number, logKey, metaKey, firstKey, retention, mustExist, batch, seen, lengths, blob, keyed)
  local size = retention.size
  local meta = call('HMGET', metaKey, 'e', 's', 'r', 'p', mark, 'x', 'i', 'z')
  local epoch, sequence, previous = meta[1], tonumber(meta[2] or '0'), meta[4] or ''
  if meta[5] and tonumber(string.match(meta[5], '^%d+')) >= tonumber(batch) then return 'stale' end
  if mustExist and (not epoch or sequence == 0) then return 'absent' end
  local length = 0
  -- Also finds out whether the messages can be stored, before any key is.
  if retention.fullAt > 0 or keyed or (epoch and size > 0) then
    length = call('XLEN', logKey)
    if retention.fullAt > 0 and length >= retention.fullAt then
      local words = epoch and keyed and repetitions(logKey, firstKey, keyed, lengths)
      return words and epoch .. ' 0 ' .. (sequence + 1) .. ' ' .. words or 'full'
    end
  end
  local stored = false
  if not epoch then
    epoch, sequence, previous = freshEpoch .. '.' .. number, 0, ''
    if call('EXISTS', logKey) == 1 then
      -- DEL must not be the first write of the script: Redis allows it without a check of maxmemory, and
      -- checks no later write of the same script.
      call('HSET', metaKey, 'e', epoch, 's', 0, 'r', process, 'i', history, 'p', '')
      call('DEL', logKey)
    end
  else
    -- An emptied log exists, too.
    stored = size > 0 and (length > 0 or call('EXISTS', logKey) == 1)
    if not isSameHistory(process, histories, meta[3], meta[7]) or isShorter(epoch, sequence, seen)
      or hasExpired(sequence, size > 0 and not stored, previous, meta[8]) then
      previous = endEpoch(epoch, sequence, previous)
      epoch = freshEpoch .. '.' .. number
    end
  end

  local duplicates, storeShares
  if retention.senderFullAt > 0 then
    local keyOf, at = {}, firstKey
    for index, id in string.gmatch(keyed or '', '(%d+):(%S+) ') do
      keyOf[tonumber(index)] = { key = KEYS[at], id = id }
      at = at + 1
    end
    duplicates, storeShares = admitByShare(logKey, retention, lengths, blob, keyOf, epoch, sequence)
  elseif keyed then
    local at, new, counted = firstKey, sequence, 0
    for index, id in string.gmatch(keyed, '(%d+):(%S+) ') do
      index = tonumber(index)
      new = new + (index - counted)
      counted = index
      local first = storeKey(logKey, KEYS[at], new .. ':' .. epoch .. ':' .. id, retention.keyTtl)
      if first then
        duplicates = duplicates or {}
        duplicates[index] = first
        new = new - 1
      end
      at = at + 1
    end
  end

  local first = sequence + 1
  local words, kept, keptLengths
  if not duplicates and not string.find(lengths, ' ', 1, true) then
    sequence, kept = first, { blob }
  else
    words, kept, keptLengths = {}, {}, {}
    local index, at = 0, 1
    for length in string.gmatch(lengths, '%d+') do
      index = index + 1
      local last = at + tonumber(length) - 1
      if duplicates and duplicates[index] then
        words[index] = duplicates[index]
      else
        sequence = sequence + 1
        if size > 0 or duplicates then kept[#kept + 1] = string.sub(blob, at, last) end
        if duplicates then
          words[index] = '+'
          keptLengths[#keptLengths + 1] = length
        end
      end
      at = last + 1
    end
  end

  local receivers = 0
  if sequence >= first then
    if size > 0 then
      -- Messages that this batch itself would trim are not stored, and only the last call trims. The
      -- resulting log is the same, with less work.
      for i = math.max(1, #kept - size + 1), #kept - 1 do
        call('XADD', logKey, (first + i - 1) .. '-0', 'm', kept[i])
      end
      call('XADD', logKey, 'MAXLEN', size < 1000 and '=' or '~', size, sequence .. '-0', 'm', kept[#kept])
    end
    if duplicates then
      lengths, blob = table.concat(keptLengths, ' '), table.concat(kept)
    end
    -- The name of the channel is that of the log without ":log". The third word is of no use any more.
    local channel = string.sub(logKey, 1, -5)
    if not sharded and channelMark ~= '-' then channel = string.sub(logKey, 1, prefixBytes) .. channelMark .. string.sub(channel, prefixBytes + 1) end
    receivers = redis.pcall(sharded and 'SPUBLISH' or 'PUBLISH', channel, epoch .. ' ' .. first .. ' - ' .. lengths .. '\n' .. blob)
    -- The messages are stored: whoever follows the log finds them when it compares its position.
    if type(receivers) == 'table' then receivers = -1 end
  end
  local held = storeShares and '/' .. storeShares(retention.historyTtl + math.floor(retention.historyTtl / 10)) or ''
  local answer = epoch .. ' ' .. receivers .. ' ' .. first .. held .. (duplicates and ' ' .. table.concat(words, ' ') or '')
  local applied = batch .. ' ' .. now .. ' ' .. answer

  -- The expiry is extended only from time to time, by a tenth more: this saves two calls for most batches.
  -- The difference is absolute, because the clock of another writer may be ahead. A log created by this batch
  -- has no expiry yet.
  local slack = math.floor(retention.historyTtl / 10)
  if epoch ~= meta[1] or not meta[6] or math.abs(now - meta[6]) >= slack or (size > 0 and not stored) or meta[7] ~= history then
    call('HSET', metaKey, 'e', epoch, 's', sequence, 'r', process, 'i', history, 'p', previous, 'x', now, mark, applied)
    call('PEXPIRE', metaKey, retention.metaTtl + slack)
    if size > 0 then call('PEXPIRE', logKey, retention.historyTtl + slack) end
  else
    call('HSET', metaKey, 's', sequence, mark, applied)
  end
  if size == 0 and sequence >= first then call('HSET', metaKey, 'z', sequence) end
  return answer
end

-- The stream has later messages than the meta hash knows: a script of version 0.1 has failed half way, or somebody has
-- restored a part of the data. Nobody knows whether they were acknowledged, so they stay, in an epoch of their own.
local function adoptUnknown(number, logKey, metaKey)
  local info = call('XINFO', 'STREAM', logKey)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local meta = call('HMGET', metaKey, 'e', 's', 'p')
      call('HSET', metaKey, 'e', freshEpoch .. '.a' .. number, 's', string.match(info[i + 1], '^%d+'),
        'p', endEpoch(meta[1], meta[2], meta[3] or ''))
    end
  end
end

-- Errors of Redis itself: they affect all topics, and occur with the first one.
local function isGeneral(text)
  for _, code in ipairs({ 'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'NOPERM' }) do
    if string.find(text, '%f[%a]' .. code .. '%f[%A]') then return true end
  end
  return false
end

-- Appends to one topic, whole or not at all.
local function appendWhole(number, logKey, metaKey, ...)
  for attempt = 1, 2 do
    storedKeys = {}
    local done, answer = pcall(append, number, logKey, metaKey, ...)
    if done then return true, answer end
    removeStoredKeys()
    local text = type(answer) == 'table' and answer.err or tostring(answer)
    if attempt == 2 or not string.find(text, 'equal or smaller', 1, true)
      or not pcall(adoptUnknown, number, logKey, metaKey) then return false, text end
  end
end

local answers, applied = {}, false
local number, keyAt, byteAt = 0, 1, 1
for which, mark, batch, bytes, keys, seen, lengths in string.gmatch(ARGV[2], '(%d+)(!?) (%d+) (%d+) (%d+) (%S+) ([%d ]+)\n') do
  number = number + 1
  bytes, keys = tonumber(bytes), tonumber(keys)
  local done, answer = appendWhole(number, KEYS[keyAt], KEYS[keyAt + 1], keyAt + 2, retentions[tonumber(which)], mark == '!', batch, seen, lengths,
    string.sub(ARGV[3], byteAt, byteAt + bytes - 1), keys > 0 and nextKeyed())
  if done then
    applied = true
  else
    if not applied and isGeneral(answer) then return redis.error_reply(answer) end
    answer = 'error ' .. answer
  end
  answers[number] = answer
  keyAt, byteAt = keyAt + 2 + keys, byteAt + bytes
end
return answers
