import { randomBytes } from 'node:crypto';
import { SettingsError } from '../config/load.js';
import type { Settings } from '../config/schema.js';

/** A secret for this run if the settings name no key; otherwise undefined. */
export function developmentSecret({ auth, server }: Settings): string | undefined {
  if (auth.jwtSecret !== undefined || auth.publicKeyFile !== undefined || auth.jwksFile !== undefined)
    return undefined;
  if (server.environment !== 'production') return randomBytes(32).toString('base64url');
  throw new SettingsError([
    'auth.jwt_secret: set JWT_SECRET (or auth.public_key_file, or auth.jwks_file): production needs one of them',
  ]);
}
