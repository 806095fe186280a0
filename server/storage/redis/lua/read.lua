-- Reads a log's end and, if requested, a range of its messages, in one atomic step. A log that does not exist
-- gets an epoch. A log that another Redis process wrote, or whose history has expired since its last epoch
-- began, continues under a new epoch (see append.lua).
--
-- KEYS[1] log stream, [2] meta hash
-- ARGV[1] id of the Redis process   [2] a fresh epoch   [3] meta TTL ms   [4] "end", "after" or "last"
--     [5] sequence after which to read ("after")   [6] limit
--     [7] now, ms: batch numbers older than an hour are removed if there are many
--     [8] history size   [9] "1" if a log that does not exist may be created
-- Result: { epoch, sequence, first stored sequence, earlier epochs, entries as XRANGE returns them }, or {} if the
--     log does not exist and may not be created
--- @include "includes/epoch"
local meta = redis.call('HMGET', KEYS[2], 'e', 's', 'r', 'p')
local epoch, sequence, previous = meta[1], tonumber(meta[2] or '0'), meta[4] or ''
if not epoch then
  if ARGV[9] ~= '1' then return {} end
  epoch, sequence, previous = ARGV[2], 0, ''
  -- In this order, because after DEL Redis would no longer check maxmemory (see append.lua).
  redis.call('HSET', KEYS[2], 'e', epoch, 's', 0, 'r', ARGV[1], 'p', '')
  redis.call('DEL', KEYS[1])
elseif mustEndEpoch(ARGV[1], meta[3], sequence, tonumber(ARGV[8]) > 0 and redis.call('EXISTS', KEYS[1]) == 0, previous) then
  previous = endEpoch(epoch, sequence, previous)
  epoch = ARGV[2]
  redis.call('HSET', KEYS[2], 'e', epoch, 'r', ARGV[1], 'p', previous)
end
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
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
local entries = {}
if ARGV[4] == 'after' then
  entries = redis.call('XRANGE', KEYS[1], (tonumber(ARGV[5]) + 1) .. '-0', '+', 'COUNT', ARGV[6])
elseif ARGV[4] == 'last' then
  entries = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[6])
end
return { epoch, sequence, first, previous, entries }
