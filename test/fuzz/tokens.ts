import jwt from 'jsonwebtoken';
import { secret } from '../support/replica.js';

// The times are fixed, so that a seed gives the same inputs again.
const year2100 = 4_102_444_800;

/** A valid token. */
export function tokenOf(userId: string, roles: readonly string[] = ['user']): string {
  return jwt.sign({ sub: userId, roles, iat: 1_700_000_000, exp: year2100 }, secret);
}

export function expiredToken(userId: string): string {
  return jwt.sign({ sub: userId, roles: ['user'], iat: 1_600_000_000, exp: 1_600_000_100 }, secret);
}
