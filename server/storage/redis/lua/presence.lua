--- @include "includes/presence-changes"
-- Sets the number of connections of users on a topic, for one replica, and publishes who became present or absent
-- in the cluster. Without a lease nothing is written, because others may be removing what the replica had.
-- In a Redis Cluster KEYS[1] comes alone: the others are in another slot, see presence-lease.lua.
--
-- KEYS[1] hash: field = user, value = "<replica>=<connections>" for each replica with some, space-separated
-- KEYS[2] set of the topics where the replica has users   [3] sorted set of leases
-- ARGV[1] replica   [2] replica as it is written in the hash   [3] TTL ms   [4] channel   [5] topic
-- ARGV[6] 1: the replica has no users on the topic after this
-- then for each user: user id, connections, 1 if the replica may have written some before
-- Result: 1, or 0 without a lease
if KEYS[3] and not redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 0 end
if KEYS[2] and ARGV[6] ~= '1' then
  -- First, because a set of a wrong type must refuse the call before anything is written.
  redis.call('SADD', KEYS[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
local emptied = {}
for i = 7, #ARGV, 3 do
  local user, count, had = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2] == '1'
  local own, others, kept = 0, 0, {}
  for replica, n in string.gmatch(redis.call('HGET', KEYS[1], user) or '', '(%S+)=(%d+)') do
    if replica == ARGV[2] then
      own = tonumber(n)
    else
      others = others + n
      kept[#kept + 1] = replica .. '=' .. n
    end
  end
  if count > 0 then kept[#kept + 1] = ARGV[2] .. '=' .. count end
  if #kept > 0 then
    if count ~= own then redis.call('HSET', KEYS[1], user, table.concat(kept, ' ')) end
  else
    emptied[#emptied + 1] = user
  end
  if others == 0 then
    if own == 0 and count > 0 then transition(user, 'join', count) end
    -- `had`: the store may have lost the entry, and the user leaves nevertheless.
    if (own > 0 or had) and count == 0 then transition(user, 'leave', 0) end
  end
end
-- Removals come after the writes that Redis refuses when its memory is full: after one it would no longer check
-- that.
for _, user in ipairs(emptied) do redis.call('HDEL', KEYS[1], user) end
if KEYS[2] and ARGV[6] == '1' then redis.call('SREM', KEYS[2], ARGV[5]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
publishTransitions(ARGV[4], ARGV[5])
return 1
