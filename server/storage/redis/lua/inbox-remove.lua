-- Removes messages from an inbox, also from the shares of their senders (see includes/inbox-shares.lua).
--
-- KEYS[1] log stream, [2] hash of shares   ARGV sequences
-- Result: number of messages removed
local call = redis.call
local removed = 0
for _, sequence in ipairs(ARGV) do
  if call('XDEL', KEYS[1], sequence .. '-0') == 1 then
    removed = removed + 1
    local known = call('HGET', KEYS[2], sequence)
    if known then
      local bytes, sender = string.match(known, '^(%d+) (.*)$')
      call('HDEL', KEYS[2], sequence)
      for _, owner in ipairs({ '', ':' .. sender }) do
        call('HINCRBY', KEYS[2], 'b' .. owner, -tonumber(bytes))
        if call('HINCRBY', KEYS[2], 'n' .. owner, -1) <= 0 then call('HDEL', KEYS[2], 'n' .. owner, 'b' .. owner) end
      end
    end
  end
end
return removed
