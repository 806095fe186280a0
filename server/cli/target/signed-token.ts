import jwt from 'jsonwebtoken';
import { userInfo } from 'node:os';
import { loadSettings } from '../../config/load.js';
import type { TokenKind } from './target.js';

/** Long enough for one command. */
const ttlSecs = 600;

/** The claims that a service with these settings wants, for any user. */
interface GrantedClaims {
  readonly sub: string;
  readonly roles: readonly string[];
  readonly topics?: readonly string[];
}

/** Signs tokens with the secret of the settings. Undefined if the settings have none. */
export function tokenSigner({
  config,
  ttlSecs: seconds = ttlSecs,
}: {
  readonly config: string | undefined;
  readonly ttlSecs?: number;
}): ((claims: GrantedClaims) => string) | undefined {
  const { auth } = loadSettings(process.env, config);
  const { jwtSecret } = auth;
  if (jwtSecret === undefined) return undefined;
  return (claims) =>
    jwt.sign(claims, jwtSecret, {
      expiresIn: seconds,
      ...(auth.issuer !== undefined && { issuer: auth.issuer }),
      ...(auth.audience !== undefined && { audience: auth.audience }),
    });
}

/** A token for one command of the user of this machine. */
export function ownToken(kind: TokenKind, config: string | undefined): string | undefined {
  const roles = kind === 'operator' ? ['user', 'admin'] : ['user'];
  return tokenSigner({ config })?.({ sub: `rtc-${userName()}`, roles });
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run with a number that has no name.
    return 'operator';
  }
}
