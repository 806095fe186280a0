-- Writes a session, unless another connection has claimed it: the rule `mayWrite` of sessions/session-lease.ts.
-- A session is JSON that begins with its header: {"version":2,"generation":<number>,"owner":<name or null>,
--
-- KEYS[1] session   ARGV[1] time to live in ms   [2] generation of the writer   [3] header of the writer
--     [4] the session
-- Result: 1 if it was written
local head = redis.pcall('GETRANGE', KEYS[1], 0, 4095)
-- A stored value that is not a session is overwritten.
if type(head) == 'string' and string.sub(head, 1, #ARGV[3]) ~= ARGV[3] then
  local generation = string.match(head, '^{"version":%d+,"generation":(%d+),')
  if generation and tonumber(generation) >= tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[1])
return 1
