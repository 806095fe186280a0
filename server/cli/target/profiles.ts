import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { writeAtomically } from '../atomic-file.js';
import { cannotRead, cannotWrite, fileProblem, usageError } from '../cli-error.js';

/** A service, with the tokens for it, under a name. */
export interface Profile {
  readonly url: string;
  readonly token?: string;
  /** A file whose content is the token, read at each use. */
  readonly tokenFile?: string;
}

/** The profiles of a user, and the one in use. */
export interface Profiles {
  readonly current?: string;
  readonly profiles: Readonly<Record<string, Profile>>;
}

/**
 * `~/.config/rtc/profiles.json`, or below `XDG_CONFIG_HOME`. Undefined: there is no home directory. A path that is not absolute does not count:
 * nobody else's directory decides where tokens go.
 */
export function profilesPath(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const configured = environment['XDG_CONFIG_HOME'];
  if (configured !== undefined && isAbsolute(configured)) return join(configured, 'rtc', 'profiles.json');
  const home = homeOf();
  return home === undefined ? undefined : join(home, '.config', 'rtc', 'profiles.json');
}

function homeOf(): string | undefined {
  try {
    const home = homedir();
    return isAbsolute(home) ? home : undefined;
  } catch {
    // The user has none, as in some containers.
    return undefined;
  }
}

/** The profile of a name. @throws CliError if there is none */
export function profileNamed(name: string, { profiles }: Profiles = readProfiles()): Profile {
  // Not what every object has, as `constructor`.
  if (!Object.hasOwn(profiles, name))
    throw usageError(`there is no profile ${name}`, 'rtc profile list shows them');
  return profiles[name]!;
}

/** The token of a profile, if it has one. @throws CliError if its file cannot be read, or is empty */
export function tokenOfProfile({ token, tokenFile }: Profile): string | undefined {
  if (tokenFile === undefined) return token;
  let text: string;
  try {
    text = readFileSync(tokenFile, 'utf8').trim();
  } catch (error) {
    throw usageError(
      `the token file ${tokenFile} cannot be read: ${fileProblem(error)}`,
      'write a token to it: rtc token create --user NAME > FILE',
    );
  }
  if (text === '') throw usageError(`the token file ${tokenFile} is empty`);
  return text;
}

/** No file is no profiles. @throws CliError if the file cannot be used */
export function readProfiles(path = profilesPath()): Profiles {
  let text: string;
  if (path === undefined) return { profiles: {} };
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return { profiles: {} };
    cannotRead(path, error);
  }
  try {
    return checked(JSON.parse(text));
  } catch {
    throw usageError(`${path} is not a file of profiles`, 'mend it, or remove it and add the profiles again');
  }
}

/** Tokens are secrets: only the user may read the file. */
export async function writeProfiles(profiles: Profiles, path = profilesPath()): Promise<void> {
  if (path === undefined)
    throw usageError('there is no home directory for profiles', 'set XDG_CONFIG_HOME, or RTC and TOKEN');
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    await writeAtomically(path, [`${JSON.stringify(profiles, null, 2)}\n`]);
  } catch (error) {
    cannotWrite(path, error);
  }
}

function checked(value: unknown): Profiles {
  const { current, profiles } = value as Profiles;
  if (current !== undefined && typeof current !== 'string') throw new Error();
  for (const profile of Object.values(profiles)) {
    const { url, token, tokenFile } = profile;
    if (typeof url !== 'string' || !['undefined', 'string'].includes(typeof token)) throw new Error();
    if (!['undefined', 'string'].includes(typeof tokenFile)) throw new Error();
  }
  return {
    ...(current !== undefined && { current }),
    profiles: Object.assign(Object.create(null), profiles),
  };
}
