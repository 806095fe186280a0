-- Sets and removes fields of a hash in one step.
-- KEYS[1] hash; ARGV[1] number of fields to set, ARGV[2] number of fields to set where they are absent, then each with its value, in this
-- order, then the fields to remove.
local set = tonumber(ARGV[1])
local absent = tonumber(ARGV[2])
local at = 3
for _ = 1, set do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for _ = 1, absent do
  redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 1
