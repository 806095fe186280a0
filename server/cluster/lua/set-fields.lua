-- Sets and removes fields of a hash in one step.
-- KEYS[1] hash; ARGV[1] number of fields to set, then each with its value, then the fields to remove.
local set = tonumber(ARGV[1])
for i = 0, set - 1 do
  redis.call('HSET', KEYS[1], ARGV[2 + 2 * i], ARGV[3 + 2 * i])
end
for i = 2 + 2 * set, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 1
