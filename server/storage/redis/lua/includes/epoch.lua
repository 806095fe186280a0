-- The epoch rule, for the scripts that read or write a log. An epoch names one history of a log: within it, a
-- sequence never has two messages. The log goes on under a new epoch when
--   * its last write belongs to another history of Redis (another process, a promoted replica, a master that was
--     demoted and promoted again, a restored copy), because the last writes of that one may be lost;
--   * it is shorter than the caller has seen it, for whatever reason;
--   * its stored messages have expired or were deleted;
--   * it has messages of which the meta hash knows nothing (see adoptUnknown in append.lua).
--
-- A history is named by the replication id that it had first, and by its later ones (see redis-process.ts). In the
-- meta hash, i is the history of the last write, and r the Redis process, which is all that version 0.1 knows.

-- histories: "<name>", or "<name>,<former name>,..."
local function isSameHistory(process, histories, lastProcess, lastHistory)
  if not lastHistory then return lastProcess == process end
  return string.find(histories, lastHistory, 1, true) ~= nil
end

-- Whether the caller has seen messages that the log does not have.
-- seen: "<epoch>:<sequence>", or "<epoch>:<sequence>,<epoch before>", or "-"
local function isShorter(epoch, sequence, seen)
  local seenEpoch, seenSequence, before = string.match(seen, '^([^:]*):(%d+),?(.*)$')
  if seenEpoch == epoch then return sequence < tonumber(seenSequence) end
  -- The epoch that the caller has seen is gone altogether.
  return before == epoch
end

-- Whether the log has lost a position that the caller has seen, whatever has become of the log since.
local function isGone(epoch, sequence, previous, seen)
  local seenEpoch, seenSequence = string.match(seen, '^([^:]*):(%d+)')
  if not seenEpoch then return false end
  for earlier, last in string.gmatch((epoch or '') .. ':' .. (sequence or '0') .. ',' .. (previous or ''), '([^:,]*):(%d+)') do
    if earlier == seenEpoch then return tonumber(last) < tonumber(seenSequence) end
  end
  return true
end

-- Whether what was stored has expired or was deleted, and no epoch has ended at this sequence yet.
-- unstored: sequence of the last message that was not to be stored
local function hasExpired(sequence, isEmpty, previous, unstored)
  return isEmpty and sequence > 0 and unstored ~= tostring(sequence)
    and string.match(previous, '^[^:]*:(%d+)') ~= tostring(sequence)
end

-- Adds the epoch that ends now to the earlier epochs, newest first and at most 64: a client that has missed
-- more restarts of Redis than that is answered as if its messages were lost.
local function endEpoch(epoch, sequence, previous)
  previous = epoch .. ':' .. sequence .. (previous ~= '' and (',' .. previous) or '')
  local _, commas = string.gsub(previous, ',', '')
  if commas > 63 then previous = string.gsub(previous, ',[^,]*$', '') end
  return previous
end
