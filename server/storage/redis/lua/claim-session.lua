-- Gives a session a new header, if it still has the known one: see save-session.lua.
--
-- KEYS[1] session   ARGV[1] time to live in ms   [2] the known header; empty: it has none   [3] the new header
--     [4] the session to store if there is none; empty: none is stored
-- Result: the session as it is stored now; nil if its header is another one
local stored = redis.pcall('GET', KEYS[1])
local claimed
if type(stored) == 'string' then
  if ARGV[2] ~= '' and string.sub(stored, 1, #ARGV[2]) == ARGV[2] then
    local rest = string.sub(stored, #ARGV[2] + 1)
    -- It has no state any more: see forget-session.lua.
    if rest == '"retired":true}' then return nil end
    claimed = ARGV[3] .. rest
  elseif ARGV[2] == '' and string.find(stored, '^{"') and not string.find(stored, '^{"version":2,') then
    -- Written by hand.
    claimed = ARGV[3] .. string.sub(stored, 2)
  else
    return nil
  end
elseif ARGV[4] ~= '' and not stored then
  claimed = ARGV[4]
else
  return nil
end
redis.call('SET', KEYS[1], claimed, 'PX', ARGV[1])
return claimed
