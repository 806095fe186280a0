import { usageError } from '../cli-error.js';
import { profileNamed, readProfiles, tokenOfProfile, type Profile } from './profiles.js';

/** Options that say which service is meant, and who asks. */
export interface TargetOptions {
  readonly url?: string;
  readonly token?: string;
  readonly profile?: string;
}

/** Whose token a command needs: that of a user, or of an operator. */
export type TokenKind = 'user' | 'operator';

/** A service, and who asks. */
export interface Target {
  /** Without a path. */
  readonly url: string;
  readonly token: string | undefined;
  /** Where the token comes from, in words. */
  readonly tokenSource: string;
}

const defaultUrl = 'http://localhost:8081';

/** Variables with tokens, the first that is set wins. */
const tokenVariables: Record<TokenKind, readonly string[]> = {
  user: ['TOKEN'],
  operator: ['ADMIN_TOKEN', 'TOKEN'],
};

/**
 * The service: `--url`, else the profile of `--profile`, else the variable `RTC`, else the profile in use, else `http://localhost:8081`.
 * The token: `--token`, else that of `--profile`, else the variables, else that of the profile in use, else one that is signed with the secret
 * of the settings.
 *
 * @throws CliError
 */
export async function resolveTarget(
  options: TargetOptions,
  kind: TokenKind,
  sign: (kind: TokenKind) => Promise<string | undefined>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Target> {
  const named = options.profile === undefined ? undefined : profileNamed(options.profile);
  const variable = tokenVariables[kind].find((name) => Boolean(environment[name]));
  const url = addressOf(
    options.url ?? named?.url ?? (environment['RTC'] || undefined) ?? inUse()?.url ?? defaultUrl,
  );
  if (options.token !== undefined) return { url, ...given(options.token, '--token') };
  if (named?.token !== undefined || named?.tokenFile !== undefined)
    return { url, ...given(tokenOfProfile(named), `the profile ${options.profile}`) };
  if (variable !== undefined) return { url, ...given(environment[variable]!, `the variable ${variable}`) };
  const current = inUse();
  // A token is sent only to the service it is for.
  if (current !== undefined && addressOf(current.url) === url) {
    const token = tokenOfProfile(current);
    if (token !== undefined) return { url, ...given(token, 'the profile in use') };
  }
  const signed = await sign(kind);
  return { url, token: signed, tokenSource: signed === undefined ? 'nowhere' : 'the secret of the settings' };
}

function inUse(): Profile | undefined {
  const { current, profiles } = readProfiles();
  return current !== undefined && Object.hasOwn(profiles, current) ? profiles[current] : undefined;
}

/** @throws CliError if no request can be sent with the token. It is not repeated: it may be a secret nevertheless. */
function given(text: string | undefined, tokenSource: string): Omit<Target, 'url'> {
  const token = text?.trim();
  if (token === '') throw usageError(`the token is empty (from ${tokenSource})`);
  if (token !== undefined && /[^\t\x20-\x7e]/.test(token))
    throw usageError(
      `the token has an end of line, or a character that no token has (from ${tokenSource})`,
      'give the token alone, on one line',
    );
  return { token, tokenSource };
}

/** @throws CliError if the text is not an address of HTTP, or has parts that would not be used */
export function addressOf(text: string): string {
  const written = /^[a-z]+:\/\//i.test(text) ? text.replace(/^ws/i, 'http') : `http://${text}`;
  const address = URL.canParse(written) ? new URL(written) : undefined;
  if (address === undefined || !['http:', 'https:'].includes(address.protocol))
    throw usageError(`${text} is not an address`, 'give one like http://localhost:8081');
  const { username, password, search, hash, port } = address;
  // Not repeated: the password would be on the screen.
  if (username !== '' || password !== '')
    throw usageError(
      'the address has a user or a password before its host: they would not be sent, because the token takes their place',
      'give the address without them, and the token by --token, TOKEN or a profile',
    );
  if (search !== '' || hash !== '')
    throw usageError(`${text} has ${search === '' ? 'a part behind #' : 'a query'}, which would not be sent`);
  // Node would connect to port 80, with the token.
  if (port === '0') throw usageError(`${text} is not an address: nothing listens at port 0`);
  // A service may be below a path of its host.
  return `${address.origin}${address.pathname.replace(/\/(ws)?$/, '')}`;
}
