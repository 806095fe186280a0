-- Appends one batch to a topic's log: dedupes by key, numbers, stores and publishes, in one atomic step.
--
-- KEYS[1] log stream, [2] meta hash, [3] channel, [4...] one idempotency key for each message that has one, in order
-- ARGV[1] id of the Redis process, as the caller learned it on connecting   [2] a fresh epoch, used if one is needed
--     [3] writer (one process of a replica)   [4] batch number of this writer   [5] now, ms
--     [6] history size   [7] history TTL ms   [8] idempotency window ms   [9] meta TTL ms
--     [10] lengths of the entries in bytes, separated by spaces   [11] the entries, one after the other
--     [12] for each message that has a key, "<index from 1>:<id> "
-- Result: "stale" if this batch number was cancelled or is used up; else "<epoch> <receivers>", followed for each message by
--     " <sequence>", or by " =<sequence>:<epoch>:<id>" for a duplicate.
--
-- The meta hash: e epoch, s sequence, r Redis process that wrote last, p earlier epochs "epoch:sequence,..." newest first, at most 8,
-- w:<writer> "<batch number> <ms> <result>", the last batch applied from that writer.
local meta = redis.call('HMGET', KEYS[2], 'e', 's', 'r', 'p', 'w:' .. ARGV[3])
local epoch, sequence, previous = meta[1], tonumber(meta[2] or '0'), meta[4] or ''
if meta[5] and tonumber(string.match(meta[5], '^%d+')) >= tonumber(ARGV[4]) then
  return 'stale'
end
if not epoch then
  epoch, sequence, previous = ARGV[2], 0, ''
  redis.call('DEL', KEYS[1])
elseif meta[3] ~= ARGV[1] or (sequence > 0 and tonumber(ARGV[6]) > 0 and redis.call('EXISTS', KEYS[1]) == 0
    and string.match(previous, '^[^:]*:(%d+)') ~= tostring(sequence)) then
  -- Another process than at the last write: it may have lost a tail. Or the history has expired or was deleted. Go on under a new epoch.
  previous = epoch .. ':' .. sequence .. (previous ~= '' and (',' .. previous) or '')
  local _, commas = string.gsub(previous, ',', '')
  if commas > 7 then previous = string.gsub(previous, ',[^,]*$', '') end
  epoch = ARGV[2]
end

local duplicates
if ARGV[12] ~= '' then
  local at = 4
  local new = sequence
  local counted = 0
  for index, id in string.gmatch(ARGV[12], '(%d+):(%S+) ') do
    index = tonumber(index)
    new = new + (index - counted)
    counted = index
    local known = redis.call('GET', KEYS[at])
    if known then
      duplicates = duplicates or {}
      duplicates[index] = known
      new = new - 1
    else
      redis.call('SET', KEYS[at], new .. ':' .. epoch .. ':' .. id, 'PX', ARGV[8])
    end
    at = at + 1
  end
end

local size = tonumber(ARGV[6])
local trim = size < 1000 and '=' or '~'
local first = sequence + 1
local result, kept, lengths = {}, {}, {}
local index, at = 0, 1
for length in string.gmatch(ARGV[10], '%d+') do
  index = index + 1
  local last = at + tonumber(length) - 1
  if duplicates and duplicates[index] then
    result[index] = '=' .. duplicates[index]
  else
    sequence = sequence + 1
    result[index] = sequence
    if size > 0 or duplicates then
      local entry = string.sub(ARGV[11], at, last)
      if size > 0 then redis.call('XADD', KEYS[1], 'MAXLEN', trim, size, sequence .. '-0', 'm', entry) end
      if duplicates then
        kept[#kept + 1] = entry
        lengths[#lengths + 1] = length
      end
    end
  end
  at = last + 1
end

local receivers = 0
if sequence >= first then
  local header = epoch .. ' ' .. first .. ' ' .. (previous ~= '' and previous or '-') .. ' '
  if duplicates then
    receivers = redis.call('PUBLISH', KEYS[3], header .. table.concat(lengths, ' ') .. '\n' .. table.concat(kept))
  else
    receivers = redis.call('PUBLISH', KEYS[3], header .. ARGV[10] .. '\n' .. ARGV[11])
  end
  if size > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[7]) end
end
local answer = epoch .. ' ' .. receivers .. ' ' .. table.concat(result, ' ')
redis.call('HSET', KEYS[2], 'e', epoch, 's', sequence, 'r', ARGV[1], 'p', previous,
  'w:' .. ARGV[3], ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. answer)
redis.call('PEXPIRE', KEYS[2], ARGV[9])
return answer
