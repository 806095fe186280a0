-- Takes everything but its header from a session that still has this header (see save-session.lua): an outdated state
-- must not be resumed, and no connection that held it before may write it again.
--
-- KEYS[1] session   ARGV[1] the header   [2] what is stored instead   [3] time to live in ms
-- Result: number of sessions that were changed
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
-- After the removal Redis accepts a shorter value also if its memory is full.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
