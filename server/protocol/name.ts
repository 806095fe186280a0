import { z } from 'zod';

/** Control characters, line and paragraph separators, and lone surrogates, which UTF-8 cannot hold: two names that differ only in them would be stored as one. */
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;

/** The rule of names, as what follows the name of a field. */
export const nameRule = 'must not hold control characters or lone surrogates';

/** Whether a text can be the name of a user, key, role, session or token. Names are compared as they are, without Unicode normalization. */
export function isName(text: string): boolean {
  return !forbidden.test(text);
}

/**
 * The same rule for descriptions of the API, as far as JSON texts need it: no `\p`, which engines of other languages may lack, and
 * nothing of lone surrogates, which UTF-8 cannot hold anyway.
 */
const namePattern = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$';

/** Most characters of a user id. */
export const userIdLimit = 200;

/** A name of 1 to `limit` characters, in requests. */
export const nameField = (limit: number) =>
  z.string().min(1).max(limit).refine(isName, nameRule).meta({ pattern: namePattern });

/** The beginning of a client's text, for messages to it and for operators: never with half a character, which no address can hold. */
export function beginningOf(text: string, length: number): string {
  let end = 0;
  // Limits of names count code points, so that no name that is valid is cut.
  for (let n = 0; n < length && end < text.length; n++) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  return text.slice(0, end).replace(/\p{Cs}/gu, '\ufffd');
}

/** The rule of user ids, beside that of names, as what follows the name of a field. */
export const userIdRule = 'must not be . or ..';

/**
 * Whether a name can be that of a user. A part of an address cannot be `.` or `..`, also when it is encoded: operators could not reach such a
 * user under `/admin/users/`, and would reach another address instead.
 */
export function isUserId(name: string): boolean {
  return name !== '.' && name !== '..';
}

/** A user id, in requests. */
export const userIdField = nameField(userIdLimit)
  .refine(isUserId, userIdRule)
  .meta({ pattern: `^(?!\\.{1,2}$)${namePattern.slice(1)}` });
