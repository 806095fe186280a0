-- For what operators change, which must be stored even if the memory of Redis is full: little, and bounded. After
-- its first write Redis does not refuse the further ones of a script for want of memory, and it allows this one,
-- which removes nothing.
redis.call('HDEL', KEYS[1], '#none')
