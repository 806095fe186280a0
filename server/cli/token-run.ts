import jwt from 'jsonwebtoken';
import { loadSettings } from '../config/load.js';
import { usageError } from './cli-error.js';
import { decode, type DecodedToken } from './decode.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { tokenFindingOf, type TokenFinding } from './token-findings.js';
import type { Terminal } from './terminal.js';
import { printable } from './text-table.js';

/** Options of `rtc token create`. */
export interface CreateOptions {
  readonly user: string;
  readonly role: readonly string[];
  readonly topic?: readonly string[];
  readonly expires: string;
}

/** `rtc token create` */
export function createToken(options: CreateOptions, config: string | undefined, terminal: Terminal): void {
  const { auth } = loadSettings(process.env, config);
  if (auth.jwtSecret === undefined)
    throw usageError(
      'auth.jwt_secret: set JWT_SECRET to the secret of the service',
      'a service without JWT_SECRET has made one for itself, and has printed a token at its start: use that',
    );
  const claims = { sub: options.user, roles: options.role, ...(options.topic && { topics: options.topic }) };
  let token: string;
  try {
    token = jwt.sign(claims, auth.jwtSecret, {
      expiresIn: options.expires as jwt.SignOptions['expiresIn'] & string,
      ...(auth.issuer !== undefined && { issuer: auth.issuer }),
      ...(auth.audience !== undefined && { audience: auth.audience }),
    });
  } catch (error) {
    throw usageError(`--expires: ${(error as Error).message}`);
  }
  const { exp } = jwt.decode(token) as { exp: number };
  terminal.result({ token, expires_at: exp * 1000 }, () => token);
}

/** The result of `rtc token inspect`. */
interface InspectedToken extends DecodedToken {
  /** Null: nothing is wrong, as far as it could be checked. */
  readonly finding: TokenFinding | null;
}

/** `rtc token inspect`. Ends with 1 if the token is refused, or cannot be checked. */
export function inspectToken(token: string, config: string | undefined, terminal: Terminal): ExitCode {
  const now = Date.now();
  const decoded = decode(token.trim(), () => loadSettings(process.env, config), now);
  const finding = findingOf(decoded, now);
  const inspected: InspectedToken = { ...decoded, finding };
  terminal.result(inspected, () => inWords(inspected, terminal));
  return decoded.verdict === 'accepted' ? exitCodes.done : exitCodes.failed;
}

function findingOf({ verdict, payload, header }: DecodedToken, now: number): TokenFinding | null {
  if (verdict === 'accepted') return null;
  const [, code, message] = /^(\w+): (.*)$/s.exec(verdict) ?? [];
  if (code !== undefined && message !== undefined) return tokenFindingOf({ code, message });
  // Without a key, the content tells.
  if (payload === null || header === null)
    return tokenFindingOf({ code: 'unauthorized', message: 'it is not a JWT' });
  const { exp, iat } = payload as { readonly exp?: unknown; readonly iat?: unknown };
  if (typeof exp === 'number' && exp * 1000 <= now)
    return tokenFindingOf({ code: 'token_expired', message: 'the token has expired (claim exp)' });
  if (typeof iat === 'number' && iat * 1000 > now + 60_000)
    return tokenFindingOf({ code: 'unauthorized', message: "the token's claim iat is in the future" });
  return null;
}

function inWords(
  { header, payload, expiry, signature, verdict, finding }: InspectedToken,
  { paint }: Terminal,
): string {
  const { alg, kid } = (header ?? {}) as { readonly alg?: unknown; readonly kid?: unknown };
  const { sub, user_id: userId, roles, topics, iat } = (payload ?? {}) as Readonly<Record<string, unknown>>;
  const line = (name: string, value: unknown) =>
    value === undefined
      ? []
      : [`${name.padEnd(10)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`];
  return [
    ...line('user', sub ?? userId),
    ...line('roles', roles),
    ...line('topics', topics),
    ...line('algorithm', alg),
    ...line('key id', kid),
    ...line('issued', typeof iat === 'number' ? new Date(iat * 1000).toISOString() : undefined),
    ...line('expiry', expiry),
    ...line('signature', signature),
    `${'verdict'.padEnd(10)} ${verdict === 'accepted' ? paint.green(verdict) : paint.red(printable(verdict))}`,
    ...(finding === null
      ? []
      : [`${'code'.padEnd(10)} ${finding.code}`, `${'remedy'.padEnd(10)} ${finding.remedy}`]),
  ].join('\n');
}
