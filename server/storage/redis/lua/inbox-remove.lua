-- Removes messages from an inbox, also from the shares of their senders (see includes/inbox-shares.lua).
--
-- KEYS[1] log stream, [2] hash of shares, [3] meta hash (see append.lua)
-- ARGV[1] the epoch in which they were appended; empty: any   [2...] sequences
-- Result: number of messages removed
local call = redis.call
local removed = 0
local meta = ARGV[1] == '' and {} or call('HMGET', KEYS[3], 'e', 'p')

-- Whether the message with this sequence was appended in the epoch.
local function isNamed(sequence)
  if ARGV[1] == '' then return true end
  local epoch = meta[1]
  for earlier, last in string.gmatch(meta[2] or '', '([^:,]+):(%d+)') do
    if sequence > tonumber(last) then break end
    epoch = earlier
  end
  return epoch == ARGV[1]
end

for i = 2, #ARGV do
  local sequence = ARGV[i]
  if isNamed(tonumber(sequence)) and call('XDEL', KEYS[1], sequence .. '-0') == 1 then
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
