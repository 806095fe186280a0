-- Writes sessions, unless the stored session is newer. The lease of a stored session stays as it is.
--
-- KEYS one per session
-- ARGV[1] time to live in ms   [2] '1' to overwrite   then for each session: its JSON after the header (see
--     save-session.lua), its updated_at
-- Result: number of stored sessions that were kept
local kept = 0
for i, key in ipairs(KEYS) do
  local newer, header = false, '{"version":2,"generation":0,"owner":null,'
  -- A stored value that is not a session is overwritten.
  local stored = redis.pcall('GET', key)
  if type(stored) == 'string' then
    local held = string.match(stored, '^{"version":2,"generation":%d+,"owner":"[^"]*",')
      or string.match(stored, '^{"version":2,"generation":%d+,"owner":null,')
    -- A retired session has nothing else.
    if held and #held < #stored and string.sub(stored, #held + 1) ~= '"retired":true}' then header = held end
    if ARGV[2] ~= '1' then
      local readable, session = pcall(cjson.decode, stored)
      newer = readable and type(session) == 'table' and type(session.updated_at) == 'number'
        and session.updated_at > tonumber(ARGV[2 * i + 2])
    end
  end
  if newer then
    kept = kept + 1
  else
    redis.call('SET', key, header .. ARGV[2 * i + 1], 'PX', ARGV[1])
  end
end
return kept
