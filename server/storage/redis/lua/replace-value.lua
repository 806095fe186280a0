-- Sets a value if the present one is still a given one.
--
-- KEYS[1] string   ARGV[1] the value it must have   [2] the new one   [3] its time to live, in milliseconds
-- Result: 1 if it was set, 0 if it has another value or none
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
