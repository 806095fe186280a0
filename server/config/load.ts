import { isUtf8 } from 'node:buffer';
import { existsSync, readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { camelCase } from './camel-case.js';
import { fileVariable, readEnvironment } from './environment.js';
import { didYouMean } from '../primitives/did-you-mean.js';
import { schemaRule } from '../primitives/schema-rule.js';
import { settingsSchema, type Settings, type WrittenSettings } from './schema.js';
import { hardenedValues } from './hardened.js';
import { settingList } from './setting-list.js';

/** A longer problem is cut: it repeats a name from the file, which can be anything. */
const shownLength = 1000;

/** Invalid settings; each problem is a line of the message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';

  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    const shown = problems.map((problem) =>
      problem.length > shownLength ? `${problem.slice(0, shownLength)} …` : problem,
    );
    super(shown.join('\n'));
    this.problems = shown;
  }
}

const defaultFile = 'rtc.toml';

/** The origin of each value, by setting name: `file rtc.toml` or `variable RTC_SERVER_PORT`. */
type Sources = Map<string, string>;

type Table = Record<string, unknown>;

/**
 * Reads the settings: defaults, then the TOML file (`file`, else `RTC_CONFIG`, else `rtc.toml` if it exists), then the environment.
 *
 * @throws SettingsError with each wrong setting, its origin and its rule; for an unknown name with the nearest known one.
 */
export function loadSettings(environment: NodeJS.ProcessEnv, file?: string): Settings {
  return deepFreeze(toCamelCase(loadWritten(environment, file).written)) as Settings;
}

/**
 * The settings as in a file, and the origin of those that are not defaults.
 *
 * @throws SettingsError as {@link loadSettings}
 */
export function loadWritten(
  environment: NodeJS.ProcessEnv,
  file?: string,
): { readonly written: WrittenSettings; readonly sources: ReadonlyMap<string, string> } {
  const sources: Sources = new Map();
  const given = readFile(file ?? (environment[fileVariable] || undefined), sources);
  const { values, problems: unknownVariables } = readEnvironment(environment);
  for (const { setting, variable, value } of values) {
    sources.set(setting.name, `variable ${variable}`);
    if (setting.key === undefined) given[setting.section] = value;
    else {
      const table = given[setting.section] ?? {};
      // A section that is not a table is left as it is: the schema refuses it.
      if (isTable(table)) given[setting.section] = { ...table, [setting.key]: value };
    }
  }
  applyProfile(given, sources);
  const parsed = settingsSchema.safeParse(given, { error: schemaRule });
  const problems = [
    ...unknownVariables,
    ...(parsed.error?.issues ?? []).flatMap((issue) => explain(issue, sources)),
  ];
  if (!parsed.success || problems.length > 0) throw new SettingsError(problems);
  return { written: parsed.data, sources };
}

/** Gives settings that are not set the values of the profile. */
function applyProfile(given: Table, sources: Sources): void {
  if (!isTable(given['server']) || given['server']['profile'] !== 'hardened') return;
  for (const { name, value } of hardenedValues) {
    const [section = '', key] = name.split('.');
    const table = given[section] ?? {};
    if (key === undefined) given[section] ??= value;
    else if (isTable(table)) given[section] = { ...table, [key]: table[key] ?? value };
    if (!sources.has(name)) sources.set(name, 'profile hardened');
  }
}

function readFile(file: string | undefined, sources: Sources): Table {
  const path = file ?? (existsSync(defaultFile) ? defaultFile : undefined);
  if (path === undefined) return {};
  let written: Table;
  try {
    written = parse(textOf(readFileSync(path), path));
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    // The rest of a TOML error quotes the lines around it, which may contain a secret.
    if (error instanceof TomlError) {
      const [what] = error.message.split('\n');
      throw new SettingsError([`settings file ${path}, line ${error.line}: ${what}`]);
    }
    throw new SettingsError([`settings file ${path} cannot be read: ${(error as Error).message}`]);
  }
  for (const [section, values] of Object.entries(written)) {
    sources.set(section, `file ${path}`);
    if (isTable(values))
      for (const key of Object.keys(values)) sources.set(`${section}.${key}`, `file ${path}`);
  }
  return written;
}

/** Of UTF-16, in either order. */
const byteOrderMarks: ReadonlySet<number> = new Set([0xfeff, 0xfffe]);

/** Windows PowerShell writes UTF-16 with `>`. A TOML file is UTF-8. */
function textOf(bytes: Buffer, path: string): string {
  const isWide =
    bytes.length > 1 && (bytes[0] === 0 || bytes[1] === 0 || byteOrderMarks.has(bytes.readUInt16LE()));
  if (!isWide && isUtf8(bytes)) return bytes.toString('utf8');
  throw new SettingsError([
    `settings file ${path}: it is ${isWide ? 'UTF-16' : 'not UTF-8'}; save it with the encoding UTF-8`,
  ]);
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function explain(issue: z.core.$ZodIssue, sources: Sources): string[] {
  const path = nameOf(issue.path);
  const sourceOf = (name: string) => {
    const source = sources.get(name);
    return source === undefined ? '' : ` (${source})`;
  };
  const setting = issue.path.slice(0, 2).join('.');
  const from = sourceOf(setting) || sourceOf(String(issue.path[0]));
  if (issue.code !== 'unrecognized_keys') return [`${path}: ${issue.message}${from}`];
  return issue.keys.map((key) => {
    const name = path === '' ? key : `${path}.${key}`;
    return `unknown setting: ${name}${sourceOf(name) || from}${didYouMean(name, knownBeside(issue.path), 3)}`;
  });
}

/** `topics.rules[0].pattern` */
function nameOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, part) =>
      typeof part === 'number' ? `${name}[${part}]` : name === '' ? String(part) : `${name}.${String(part)}`,
    '',
  );
}

function knownBeside(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return [...new Set(settingList.map(({ section }) => section))];
  return settingList.filter(({ section }) => section === path[0]).map(({ name }) => name);
}

function toCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCamelCase);
  if (!isTable(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camelCase(key), toCamelCase(item)]));
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}
