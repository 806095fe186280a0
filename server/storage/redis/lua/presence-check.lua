-- Finds topics whose users Redis has lost, by one user each, and renews the TTL of the others.
--
-- KEYS[1] set of the topics where the replica has users   then the hashes of the topics, see presence.lua
-- ARGV[1] replica as it is written in the hash   [2] TTL ms   then one user for each topic
-- Result: -1 if the set is lost; the numbers of the topics that are lost, from 1
local function renew(key)
  if redis.call('PTTL', key) < ARGV[2] / 2 then redis.call('PEXPIRE', key, ARGV[2]) end
end
local lost = {}
if redis.call('EXISTS', KEYS[1]) == 0 then lost[1] = -1 else renew(KEYS[1]) end
for i = 2, #KEYS do
  local value = redis.call('HGET', KEYS[i], ARGV[i + 1])
  if value and string.find(' ' .. value, ' ' .. ARGV[1] .. '=', 1, true) then
    renew(KEYS[i])
  else
    lost[#lost + 1] = i - 1
  end
end
return lost
