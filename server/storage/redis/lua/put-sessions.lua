-- Writes sessions whose clients are not connected, unless the stored session is newer. The lease of a stored session
-- stays as it is.
--
-- KEYS for each session: its key, the index of its user, the sizes of those in it (see includes/session-index.lua)
-- ARGV[1] time to live in ms   [2] '1' to overwrite   [3] sessions of a user at most   [4] bytes of a user at most
--   [5] prefix of the keys of sessions
--   then for each session: its id, its JSON after the header (see save-session.lua), its updated_at, the member
--   user_id as it is in the JSON
-- Result: number of stored sessions that were kept, then for each session the number of those dropped for it
--- @include "includes/session-values"
--- @include "includes/session-index"
local limits = { ttl = ARGV[1], maxSessions = tonumber(ARGV[3]), maxBytes = tonumber(ARGV[4]) }

local result = { 0 }
for i = 1, #KEYS / 3 do
  local key, index, sizes = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local id, body, updatedAt, owner = ARGV[4 * i + 2], ARGV[4 * i + 3], ARGV[4 * i + 4], ARGV[4 * i + 5]
  local newer, isHeld, size = putUnlessNewer(key, body, updatedAt, ARGV[2], limits.ttl)
  result[i + 1] = 0
  if newer then
    result[1] = result[1] + 1
  elseif isHeld then
    forget(index, sizes, id)
  else
    remember(index, sizes, id, size + overhead, now + i, limits.ttl)
    result[i + 1] = keepLimits(index, sizes, limits, function(dropped) dropOf(ARGV[5] .. dropped, owner) end)
  end
end
return result
