-- Appends one batch to a topic's log: dedupes by key, numbers, stores and publishes, in one atomic step.
--
-- KEYS[1] log stream, [2] meta hash, [3...] one idempotency key for each message that has one, in order
-- ARGV[1] separated by spaces (one argument is cheaper to pass than ten): id of the Redis process, as the caller learned it on
--     connecting; a fresh epoch, used if one is needed; writer (one process of a replica); batch number of this writer; now, ms;
--     history size; history TTL ms; idempotency window ms; meta TTL ms
--     [2] channel   [3] lengths of the entries in bytes, separated by spaces   [4] the entries, one after the other
--     [5] for each message that has a key, "<index from 1>:<id> "
-- Result: "stale" if this batch number was cancelled or is used up; else "<epoch> <receivers> <first new sequence>", followed, if there
--     are duplicates, for each message by " +" or by " <sequence>:<epoch>:<id>" for a duplicate.
--
-- The meta hash: e epoch, s sequence, r Redis process that wrote last, p earlier epochs "epoch:sequence,..." newest first, at most 8,
-- x time of the last expiry update, w:<writer> "<batch number> <ms> <result>", the last batch applied from that writer.
local process, freshEpoch, writer, batch, now, size, historyTtl, keyTtl, metaTtl =
  string.match(ARGV[1], '^(%S+) (%S+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
size = tonumber(size)

local meta = redis.call('HMGET', KEYS[2], 'e', 's', 'r', 'p', 'w:' .. writer, 'x')
local epoch, sequence, previous = meta[1], tonumber(meta[2] or '0'), meta[4] or ''
if meta[5] and tonumber(string.match(meta[5], '^%d+')) >= tonumber(batch) then
  return 'stale'
end
local stored = false
if not epoch then
  epoch, sequence, previous = freshEpoch, 0, ''
  redis.call('DEL', KEYS[1])
else
  stored = size > 0 and redis.call('EXISTS', KEYS[1]) == 1
  if meta[3] ~= process or (sequence > 0 and size > 0 and not stored
      and string.match(previous, '^[^:]*:(%d+)') ~= tostring(sequence)) then
    -- Another process than at the last write: it may have lost a tail. Or the history has expired or was deleted. Go on under a new epoch.
    previous = epoch .. ':' .. sequence .. (previous ~= '' and (',' .. previous) or '')
    local _, commas = string.gsub(previous, ',', '')
    if commas > 7 then previous = string.gsub(previous, ',[^,]*$', '') end
    epoch = freshEpoch
  end
end

local duplicates
if ARGV[5] ~= '' then
  local at, new, counted = 3, sequence, 0
  for index, id in string.gmatch(ARGV[5], '(%d+):(%S+) ') do
    index = tonumber(index)
    new = new + (index - counted)
    counted = index
    -- Mostly the key is new: one call then.
    if not redis.call('SET', KEYS[at], new .. ':' .. epoch .. ':' .. id, 'NX', 'PX', keyTtl) then
      duplicates = duplicates or {}
      duplicates[index] = redis.call('GET', KEYS[at])
      new = new - 1
    end
    at = at + 1
  end
end

local first = sequence + 1
local words, kept, lengths = {}, {}, {}
local index, at = 0, 1
for length in string.gmatch(ARGV[3], '%d+') do
  index = index + 1
  local last = at + tonumber(length) - 1
  if duplicates and duplicates[index] then
    words[index] = duplicates[index]
  else
    sequence = sequence + 1
    if size > 0 or duplicates then kept[#kept + 1] = string.sub(ARGV[4], at, last) end
    if duplicates then
      words[index] = '+'
      lengths[#lengths + 1] = length
    end
  end
  at = last + 1
end

local receivers = 0
if sequence >= first then
  if size > 0 then
    -- What this batch itself pushes out is not stored at all, and only the last call trims: the same log afterwards, for less.
    for i = math.max(1, #kept - size + 1), #kept - 1 do
      redis.call('XADD', KEYS[1], (first + i - 1) .. '-0', 'm', kept[i])
    end
    redis.call('XADD', KEYS[1], 'MAXLEN', size < 1000 and '=' or '~', size, sequence .. '-0', 'm', kept[#kept])
  end
  local message = epoch .. ' ' .. first .. ' ' .. (previous ~= '' and previous or '-') .. ' '
  if duplicates then
    message = message .. table.concat(lengths, ' ') .. '\n' .. table.concat(kept)
  else
    message = message .. ARGV[3] .. '\n' .. ARGV[4]
  end
  receivers = redis.call('PUBLISH', ARGV[2], message)
end
local answer = epoch .. ' ' .. receivers .. ' ' .. first .. (duplicates and ' ' .. table.concat(words, ' ') or '')
local mark = batch .. ' ' .. now .. ' ' .. answer

-- The expiry is moved on only now and then, and by so much more: two calls less for most batches. Clocks of writers may differ either way,
-- and a log that this batch has created has no expiry yet.
local slack = math.floor(historyTtl / 10)
if epoch ~= meta[1] or not meta[6] or math.abs(now - meta[6]) >= slack or (size > 0 and not stored) then
  redis.call('HSET', KEYS[2], 'e', epoch, 's', sequence, 'r', process, 'p', previous, 'x', now, 'w:' .. writer, mark)
  redis.call('PEXPIRE', KEYS[2], metaTtl + slack)
  if size > 0 then redis.call('PEXPIRE', KEYS[1], historyTtl + slack) end
else
  redis.call('HSET', KEYS[2], 's', sequence, 'w:' .. writer, mark)
end
return answer
