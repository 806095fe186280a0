-- The epoch rule, for the scripts that read or write a log.

-- Whether the log may have lost messages since its last write: another Redis process answers than at that
-- write, which may have lost the last writes, or the stored messages have expired or were deleted, and no
-- epoch has ended at this sequence yet.
local function mustEndEpoch(process, lastProcess, sequence, isEmpty, previous)
  return lastProcess ~= process
    or (sequence > 0 and isEmpty and string.match(previous, '^[^:]*:(%d+)') ~= tostring(sequence))
end

-- Adds the epoch that ends now to the earlier epochs, newest first and at most 8.
local function endEpoch(epoch, sequence, previous)
  previous = epoch .. ':' .. sequence .. (previous ~= '' and (',' .. previous) or '')
  local _, commas = string.gsub(previous, ',', '')
  if commas > 7 then previous = string.gsub(previous, ',[^,]*$', '') end
  return previous
end
