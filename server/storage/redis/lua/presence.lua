-- Sets the number of connections of users on a topic, for this replica. Returns the users who became present
-- or absent in the cluster.
--
-- KEYS[1] hash: field = user, value = "<replica>=<connections>" for each replica with some, space-separated
-- ARGV[1] replica   [2] TTL ms   then for each user: user id, connections
-- Result: for each such user: user id, connections in the cluster before, after
local result, emptied = {}, {}
for i = 3, #ARGV, 2 do
  local user, count = ARGV[i], tonumber(ARGV[i + 1])
  local before, after, kept = 0, count, {}
  for replica, n in string.gmatch(redis.call('HGET', KEYS[1], user) or '', '(%S+)=(%d+)') do
    before = before + n
    if replica ~= ARGV[1] then
      after = after + n
      kept[#kept + 1] = replica .. '=' .. n
    end
  end
  if count > 0 then kept[#kept + 1] = ARGV[1] .. '=' .. count end
  if #kept > 0 then
    redis.call('HSET', KEYS[1], user, table.concat(kept, ' '))
  else
    emptied[#emptied + 1] = user
  end
  if (before == 0) ~= (after == 0) then
    result[#result + 1] = user
    result[#result + 1] = before
    result[#result + 1] = after
  end
end
-- HDEL comes after the writes that Redis refuses when its memory is full: after HDEL it would no longer check
-- that.
for _, user in ipairs(emptied) do redis.call('HDEL', KEYS[1], user) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return result
