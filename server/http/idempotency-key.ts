import { RefusalError } from '../../shared/errors.js';
import { ownText } from '../primitives/own-text.js';

/** A string of structured fields (RFC 9651, section 3.3.3), with parameters that mean nothing here. */
const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"\s*(?:;.*)?$/;

/** The form in quotes, for the OpenAPI document. */
export const idempotencyKeyForm = quoted.source;

/**
 * The key in an `Idempotency-Key` header: plain, or in quotes as the draft of the IETF has it. Both name the same key.
 *
 * @throws RefusalError `invalid_message` if its quotes do not end
 */
export function idempotencyKey(header: string): string {
  if (!header.startsWith('"')) return header;
  const content = quoted.exec(header)?.[1];
  if (content === undefined)
    throw new RefusalError('invalid_message', 'Idempotency-Key: begins with a quote and is no quoted text', {
      field: 'key',
    });
  // The parameters behind it may be long.
  return ownText(content.replace(/\\(["\\])/g, '$1'));
}
