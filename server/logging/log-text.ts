/**
 * A run of characters of tokens that begins like one. It never fails once it has begun, so that all matches in a text together
 * take linear time. An expression for the whole token takes quadratic time on `eyJeyJeyJ…`.
 */
const tokenRun = /eyJ[\w.-]*/g;
/** The user and password in a URL. */
const credentials = /(\w:\/\/)[^\s/]*@/g;
/**
 * Characters that a terminal or an editor obeys instead of showing: C0, DEL and C1 controls, line and paragraph separators, marks
 * and overrides of the writing direction (UTS 55), the byte order mark. With `u`, surrogates match only where they are alone.
 */
export const unseen =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

/** Removes tokens, and passwords in URLs, from a text. Takes linear time. */
export function cleanText(text: string): string {
  return text.replace(tokenRun, redactTokens).replace(credentials, '$1[redacted]@');
}

/** The first characters of a text, and how many more there are. */
export function cutText(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length - limit} more characters)`;
}

/** Writes the characters that a reader could not see as `\u{…}`. The result is one line. */
export function escapeUnseen(text: string): string {
  return text.replace(unseen, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** The same in a line of JSON, where such characters are only in strings. A parser reads the original text. */
export function escapeUnseenInJson(line: string): string {
  return `${unseenEscapedInJson(line.trimEnd())}\n`;
}

/** The same for a JSON text without an end of line. */
export function unseenEscapedInJson(json: string): string {
  return json.replace(unseen, jsonEscape);
}

function jsonEscape(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** Three parts of base64url text, of which the first begins with `{"` in base64: a signed token. */
function redactTokens(run: string): string {
  const parts = run.split('.');
  const kept: string[] = [];
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]!;
    const start = part.indexOf('eyJ');
    const isToken =
      start >= 0 && part.length > start + 3 && (parts[at + 1] ?? '') !== '' && at + 2 < parts.length;
    kept.push(isToken ? `${part.slice(0, start)}[redacted]` : part);
    if (isToken) at += 2;
  }
  return kept.join('.');
}
