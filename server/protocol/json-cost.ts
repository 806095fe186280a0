import { RefusalError } from '../../shared/errors.js';

/** Bytes for type, topic, key and other fields around a payload. */
const envelopeBytes = 4096;

/** Reading a shorter text is cheap, whatever it holds. */
export const costlyFrom = 16_384;
/** Deeper values are left to the limit of payloads, which is lower. */
export const depthLimit = 1100;
/** A text may hold this many values, or one for each so many characters, whichever is more. */
const leastValues = 32_768;
const charactersPerValue = 16;

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openList = 0x5b;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

/**
 * Refuses JSON text that is costly to read. A megabyte of one string is read in a millisecond; a megabyte of `[` or of `{},` keeps the
 * event loop busy for a hundred, and takes fifty times its size of memory. To look at each character costs less than a tenth of that, and strings
 * are skipped. The text need not be valid.
 *
 * @throws RefusalError `invalid_payload`, with the limit
 */
export function checkJsonCost(text: string): void {
  const refusal = jsonCostRefusal(text);
  if (refusal !== undefined) throw refusal;
}

/** The refusal of JSON text that is costly to read, as {@link checkJsonCost} throws it. */
export function jsonCostRefusal(text: string): RefusalError | undefined {
  if (text.length < costlyFrom) return undefined;
  const valueLimit = Math.max(leastValues, Math.floor(text.length / charactersPerValue));
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (sign === quote) at = endOfString(text, at);
    else if (sign === openList || sign === openObject) {
      values++;
      if (++depth > depthLimit) return tooDeep();
    } else if (sign === closeList || sign === closeObject) depth--;
    else if (sign === comma && ++values > valueLimit) return tooManyValues(valueLimit);
  }
  return undefined;
}

/** Largest request on the JSON wires, in bytes: it holds one payload. */
export function requestLimit(maxMessageBytes: number): number {
  return maxMessageBytes + envelopeBytes;
}

/** Refuses a text that is nested without end. */
export function tooDeep(): RefusalError {
  return new RefusalError('invalid_payload', 'the payload is nested too deeply', { field: 'payload' });
}

function tooManyValues(limit: number): RefusalError {
  return new RefusalError('invalid_payload', `the text holds more than ${limit} values for its size`, {
    limit,
  });
}

/** Where a string ends that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
