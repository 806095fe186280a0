import jwt from 'jsonwebtoken';

/** Texts of the library by their beginnings, and ours. The library's name the issuer and audience that are expected: ours do not. */
const problems: readonly (readonly [text: string, problem: string])[] = [
  ['invalid signature', 'it is signed with another secret or key than that of this service'],
  ['jwt signature is required', 'it is not signed'],
  ['jwt audience invalid', 'it is for another audience (claim aud)'],
  ['jwt issuer invalid', 'it is from another issuer (claim iss)'],
  ['jwt not active', 'its time has not begun (claim nbf)'],
  ['invalid nbf value', 'its claim nbf must be a number'],
  ['invalid exp value', 'its claim exp must be a number'],
];

/** Why the library has refused a token, in words that reveal neither the token nor the settings. */
export function tokenProblem(error: unknown): string {
  const text = error instanceof jwt.JsonWebTokenError ? error.message : '';
  return problems.find(([beginning]) => text.startsWith(beginning))?.[1] ?? notJwt;
}

/** The problem of a text that is no token at all. */
export const notJwt = 'it is not a JWT: three parts of base64url text, joined by dots';
