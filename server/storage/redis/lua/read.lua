-- Reads a log's end and, if requested, a range of its messages, in one atomic step. A log that does not exist
-- gets an epoch. A log that may have lost something goes on under a new epoch (see epoch.lua).
--
-- KEYS[1] log stream, [2] meta hash
-- ARGV[1] id of the Redis process; names of its history; the position that the caller has seen (see epoch.lua)
--     [2] a fresh epoch   [3] meta TTL ms   [4] "end", "after" or "last"
--     [5] sequence after which to read ("after") or before which ("last"; 0: from the end)   [6] limit
--     [7] now, ms: batch numbers older than an hour are removed if there are many
--     [8] history size   [9] limit of the entries in bytes; the first one may be larger
--     [10] "1" if a log that does not exist may be created
--     [11] ms for which a log without messages is kept at least
-- Result: { epoch, sequence, first stored sequence, earlier epochs, entries as XRANGE returns them,
--     1 if there are fewer entries because of their size }, or {} if the log does not exist and may not be created
--- @include "includes/epoch"
local process, histories, seen = string.match(ARGV[1], '^(%S+) (%S+) (%S+)$')
local history = string.match(histories, '^[^,]*')
local meta = redis.call('HMGET', KEYS[2], 'e', 's', 'r', 'p', 'i', 'z', 'c')
local epoch, sequence, previous, created = meta[1], tonumber(meta[2] or '0'), meta[4] or '', meta[7]
if not epoch then
  if ARGV[10] ~= '1' then return {} end
  epoch, sequence, previous, created = ARGV[2], 0, '', ARGV[7]
  -- In this order, because after DEL Redis would no longer check maxmemory (see append.lua).
  redis.call('HSET', KEYS[2], 'e', epoch, 's', 0, 'r', process, 'i', history, 'p', '', 'c', ARGV[7])
  redis.call('DEL', KEYS[1])
elseif not isSameHistory(process, histories, meta[3], meta[5]) or isShorter(epoch, sequence, seen)
  or hasExpired(sequence, tonumber(ARGV[8]) > 0 and redis.call('EXISTS', KEYS[1]) == 0, previous, meta[6]) then
  previous = endEpoch(epoch, sequence, previous)
  epoch = ARGV[2]
  redis.call('HSET', KEYS[2], 'e', epoch, 'r', process, 'i', history, 'p', previous)
end
-- A log without messages is kept for as long as it has been in use: names that were only ever looked at once must not fill Redis.
local ttl = tonumber(ARGV[3])
if sequence == 0 and created then ttl = math.min(ttl, math.max(tonumber(ARGV[11]), tonumber(ARGV[7]) - tonumber(created))) end
if redis.call('PTTL', KEYS[2]) < ttl then redis.call('PEXPIRE', KEYS[2], ttl) end
if redis.call('HLEN', KEYS[2]) > 36 then
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local ms = string.match(all[i + 1], '^%d+ (%d+) ')
    if string.sub(all[i], 1, 2) == 'w:' and ms and tonumber(ms) < tonumber(ARGV[7]) - 3600000 then
      redis.call('HDEL', KEYS[2], all[i])
    end
  end
end

local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local first = sequence + 1
if oldest[1] then first = tonumber(string.match(oldest[1][1], '^%d+')) end

local limit, limitBytes = tonumber(ARGV[6]), tonumber(ARGV[9])
-- Reads in chunks of about the size that still fits, so that little more than the result is in memory.
local function readPage(command, from, to, step)
  local entries, bytes, chunk = {}, 0, 4
  while #entries < limit do
    local count = math.min(chunk, limit - #entries)
    local found = redis.call(command, KEYS[1], from, to, 'COUNT', count)
    for _, item in ipairs(found) do
      bytes = bytes + string.len(item[2][2])
      if #entries > 0 and bytes > limitBytes then return entries, 1 end
      entries[#entries + 1] = item
    end
    if #found < count then break end
    from = string.format('%.0f-0', tonumber(string.match(found[count][1], '^%d+')) + step)
    chunk = math.max(1, math.min(chunk * 2, 128, math.floor((limitBytes - bytes) / (bytes / #entries)) + 1))
  end
  return entries, 0
end

local entries, truncated = {}, 0
local place = tonumber(ARGV[5])
if ARGV[4] == 'after' then
  entries, truncated = readPage('XRANGE', string.format('%.0f-0', place + 1), '+', 1)
elseif ARGV[4] == 'last' then
  local from = place > 0 and string.format('%.0f-0', place - 1) or '+'
  entries, truncated = readPage('XREVRANGE', from, '-', -1)
end
return { epoch, sequence, first, previous, entries, truncated }
