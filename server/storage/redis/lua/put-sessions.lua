-- Writes sessions, unless the stored session is newer.
--
-- KEYS one per session
-- ARGV[1] time to live in ms   [2] '1' to overwrite   then for each session: its JSON, its updated_at
-- Result: number of stored sessions that were kept
local kept = 0
for i, key in ipairs(KEYS) do
  local newer = false
  if ARGV[2] ~= '1' then
    -- A stored value that is not a session is overwritten.
    local stored = redis.pcall('GET', key)
    if type(stored) == 'string' then
      local readable, session = pcall(cjson.decode, stored)
      newer = readable and type(session) == 'table' and type(session.updated_at) == 'number'
        and session.updated_at > tonumber(ARGV[2 * i + 2])
    end
  end
  if newer then
    kept = kept + 1
  else
    redis.call('SET', key, ARGV[2 * i + 1], 'PX', ARGV[1])
  end
end
return kept
