import jwt from 'jsonwebtoken';
import { RefusalError } from '../../shared/errors.js';
import { readKeys } from '../auth/token-keys.js';
import { TokenVerifier } from '../auth/token-verifier.js';
import type { Settings } from '../config/schema.js';

/** The content of a token, and whether a service with these settings accepts it. */
export interface DecodedToken {
  readonly header: unknown;
  readonly payload: unknown;
  /** `expires in 42 s`, `expired since 42 s`, or that it does not expire. */
  readonly expiry: string;
  /** `valid`, `not valid: …`, or the reason why it could not be checked. */
  readonly signature: string;
  /** `accepted`, or the code and text of the refusal. Revocations are not known here. */
  readonly verdict: string;
}

/** Reads a token without a key, and checks it with the keys of the settings, if there are any. */
export function decode(token: string, load: () => Settings, now: number): DecodedToken {
  const [header, payload] = token.split('.', 2).map(readPart);
  return {
    header: header ?? null,
    payload: payload ?? null,
    expiry: expiryOf(payload, now),
    ...check(token, load, now),
  };
}

function readPart(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString());
  } catch {
    return null;
  }
}

function expiryOf(payload: unknown, now: number): string {
  if (typeof payload !== 'object' || payload === null) return 'not known: this is not a token';
  const { exp } = payload as { exp?: unknown };
  if (typeof exp !== 'number') return 'never';
  const secs = exp - Math.floor(now / 1000);
  return secs > 0 ? `expires in ${secs} s` : `expired since ${-secs} s`;
}

function check(
  token: string,
  load: () => Settings,
  now: number,
): Pick<DecodedToken, 'signature' | 'verdict'> {
  const unchecked = (why: string) => ({ signature: `not checked: ${why}`, verdict: 'not checked' });
  try {
    const { auth } = load();
    const keys = readKeys(auth);
    if (keys.length === 0) return unchecked('there is no key; set JWT_SECRET to the secret of the service');
    const signed = keys.some(({ key, algorithm }) => {
      try {
        jwt.verify(token, key, { algorithms: [algorithm], ignoreExpiration: true, ignoreNotBefore: true });
        return true;
      } catch {
        return false;
      }
    });
    const verifier = new TokenVerifier(
      {
        keys,
        leewaySecs: auth.leewaySecs,
        ...(auth.issuer !== undefined && { issuer: auth.issuer }),
        ...(auth.audience !== undefined && { audience: auth.audience }),
      },
      { now: () => now },
    );
    return {
      signature: signed ? 'valid' : 'not valid: signed with another key, or changed',
      verdict: verdictOf(() => verifier.verify(token)),
    };
  } catch (error) {
    // If the settings or key files cannot be used, the content of the token is shown nevertheless.
    if (error instanceof Error) return unchecked(error.message);
    throw error;
  }
}

function verdictOf(verify: () => unknown): string {
  try {
    verify();
    return 'accepted';
  } catch (error) {
    if (error instanceof RefusalError) return `${error.code}: ${error.message}`;
    throw error;
  }
}
