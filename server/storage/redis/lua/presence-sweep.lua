--- @include "includes/presence-changes"
-- Removes users of a replica without a lease from a topic, step by step, and publishes who became absent.
--
-- In a Redis Cluster KEYS[1] comes alone, and the caller does the rest.
--
-- KEYS[1] hash, see presence.lua   [2] set of the topics where the replica has users   [3] sorted set of leases
-- ARGV[1] replica   [2] replica as it is written in the hash   [3] cursor, 0 at first   [4] users in a step, about
-- ARGV[5] channel   [6] topic
-- Result: the next cursor, 0 at the end; 'live' if the replica has a lease again
if KEYS[3] and redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 'live' end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  -- A stranger's key: the replica has no users there.
  if KEYS[2] then redis.call('SREM', KEYS[2], ARGV[6]) end
  return '0'
end
-- A removal, of nothing: after it Redis accepts shorter values also when its memory is full.
if KEYS[2] then redis.call('SREM', KEYS[2], '') else redis.call('HDEL', KEYS[1], '') end
local scanned = redis.call('HSCAN', KEYS[1], ARGV[3], 'COUNT', ARGV[4])
local fields = scanned[2]
for i = 1, #fields, 2 do
  local kept, had = {}, false
  for replica, n in string.gmatch(fields[i + 1], '(%S+)=(%d+)') do
    if replica == ARGV[2] then had = true else kept[#kept + 1] = replica .. '=' .. n end
  end
  if had and #kept > 0 then
    redis.call('HSET', KEYS[1], fields[i], table.concat(kept, ' '))
  elseif had then
    redis.call('HDEL', KEYS[1], fields[i])
    transition(fields[i], 'leave', 0)
  end
end
if KEYS[2] and scanned[1] == '0' then redis.call('SREM', KEYS[2], ARGV[6]) end
publishTransitions(ARGV[5], ARGV[6])
return scanned[1]
