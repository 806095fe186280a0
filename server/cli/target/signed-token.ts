import jwt from 'jsonwebtoken';
import { userInfo } from 'node:os';
import { loadSettings } from '../../config/load.js';
import type { TokenKind } from './target.js';

/** Long enough for one command. */
const ttlSecs = 600;

/** The claims that a service with these settings wants, for any user. */
export interface GrantedClaims {
  readonly sub: string;
  readonly roles: readonly string[];
  readonly topics?: readonly string[];
}

/** Signs a token with the secret of the settings. Undefined if the settings have none. */
export function signToken(
  claims: GrantedClaims,
  { config, ttlSecs: seconds = ttlSecs }: { readonly config: string | undefined; readonly ttlSecs?: number },
): string | undefined {
  const { auth } = loadSettings(process.env, config);
  if (auth.jwtSecret === undefined) return undefined;
  return jwt.sign(claims, auth.jwtSecret, {
    expiresIn: seconds,
    ...(auth.issuer !== undefined && { issuer: auth.issuer }),
    ...(auth.audience !== undefined && { audience: auth.audience }),
  });
}

/** A token for one command of the user of this machine. */
export function ownToken(kind: TokenKind, config: string | undefined): string | undefined {
  const roles = kind === 'operator' ? ['user', 'admin'] : ['user'];
  return signToken({ sub: `rtc-${userName()}`, roles }, { config });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run with a number that has no name.
    return 'operator';
  }
}
