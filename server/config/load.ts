import { existsSync, readFileSync } from 'node:fs';
import { closest, distance } from 'fastest-levenshtein';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { settingsSchema, shortNames, type Settings } from './schema.js';

/** Settings that cannot be used; every problem is a line of the message. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

const defaultFile = 'rtc.toml';
const variablePrefix = 'RTC_';
const fileVariable = 'RTC_CONFIG';

/** Where a value came from, for messages: `file rtc.toml` or `variable RTC_SERVER_PORT`. */
type Sources = Map<string, string>;

/**
 * Reads the settings: defaults, then the TOML file (`RTC_CONFIG`, or `rtc.toml` if there is one), then the environment.
 *
 * @throws SettingsError naming each wrong setting, where it came from, and for unknown names the nearest known one.
 */
export function loadSettings(environment: NodeJS.ProcessEnv, file = environment[fileVariable]): Settings {
  const sources: Sources = new Map();
  const written = readFile(file, sources);
  const problems = applyEnvironment(written, environment, sources);
  const parsed = settingsSchema.safeParse(written);
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap((issue) => explain(issue, sources)));
  if (problems.length > 0) throw new SettingsError(problems);
  return deepFreeze(toCamelCase(parsed.data)) as Settings;
}

type Written = Record<string, Record<string, unknown> | unknown>;

function readFile(file: string | undefined, sources: Sources): Written {
  const path = file ?? (existsSync(defaultFile) ? defaultFile : undefined);
  if (path === undefined) return {};
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`settings file ${path} cannot be read: ${(error as Error).message}`]);
  }
  try {
    const written = parse(content) as Written;
    for (const [section, values] of Object.entries(written)) {
      sources.set(section, `file ${path}`);
      if (isTable(values))
        for (const key of Object.keys(values)) sources.set(`${section}.${key}`, `file ${path}`);
    }
    return written;
  } catch (error) {
    if (error instanceof TomlError) throw new SettingsError([`settings file ${path}: ${error.message}`]);
    throw error;
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every setting as `section.key`, or `section` for a section that is a list. */
export function settingNames(): string[] {
  return Object.entries(settingsSchema.shape).flatMap(([section, schema]) => {
    const keys = sectionKeys(schema);
    return keys === undefined ? [section] : keys.map((key) => `${section}.${key}`);
  });
}

function sectionKeys(schema: z.ZodType): string[] | undefined {
  const inner = (schema as unknown as { def: { innerType?: { shape?: object } } }).def.innerType;
  return inner?.shape === undefined ? undefined : Object.keys(inner.shape);
}

/** The variable of a setting: `RTC_SERVER_PORT` for `server.port`. */
export function variableOf(name: string): string {
  return variablePrefix + name.replace('.', '_').toUpperCase();
}

function applyEnvironment(written: Written, environment: NodeJS.ProcessEnv, sources: Sources): string[] {
  const problems: string[] = [];
  const variables = new Map(settingNames().map((name) => [variableOf(name), name]));
  const set = (name: string, variable: string, text: string) => {
    const [section, key] = name.split('.') as [string, string?];
    sources.set(name, `variable ${variable}`);
    if (key === undefined) written[section] = readText(text);
    else {
      const table = isTable(written[section]) ? written[section] : {};
      table[key] = readValue(name, text);
      written[section] = table;
    }
  };
  for (const [variable, [section, key]] of Object.entries(shortNames)) {
    const text = environment[variable];
    if (text !== undefined && text !== '') set(`${section}.${key}`, variable, text);
  }
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(variablePrefix) || variable === fileVariable || text === undefined) continue;
    const name = variables.get(variable);
    if (name !== undefined) set(name, variable, text);
    else problems.push(`unknown setting: variable ${variable}${nearest(variable, [...variables.keys()])}`);
  }
  return problems;
}

/** Text settings stay text, even if they look like a number; the others are read by their look. */
function readValue(name: string, text: string): unknown {
  const [section, key] = name.split('.') as [keyof typeof settingsSchema.shape, string];
  const table = (
    settingsSchema.shape[section] as unknown as { def: { innerType: { shape: Record<string, z.ZodType> } } }
  ).def.innerType.shape;
  if (table[key]?.safeParse('text').success === true) return text;
  if (table[key]?.safeParse(['a']).success === true && !text.trimStart().startsWith('[')) {
    return text.split(',').map((item) => item.trim());
  }
  return readText(text);
}

function readText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function explain(issue: z.core.$ZodIssue, sources: Sources): string[] {
  const name = issue.path.join('.');
  const source = sources.get(issue.path.slice(0, 2).join('.')) ?? sources.get(String(issue.path[0]));
  const from = source === undefined ? '' : ` (${source})`;
  if (issue.code !== 'unrecognized_keys') return [`${name}: ${issue.message}${from}`];
  return issue.keys.map((key) => {
    const full = name === '' ? key : `${name}.${key}`;
    const from = sources.get(full) ?? source;
    const known =
      name === ''
        ? Object.keys(settingsSchema.shape)
        : settingNames().filter((other) => other.startsWith(`${name}.`));
    return `unknown setting: ${full}${from === undefined ? '' : ` (${from})`}${nearest(full, known)}`;
  });
}

/** `; did you mean …?`, if a known name is near enough to be meant. */
function nearest(name: string, known: readonly string[]): string {
  const candidates = [...known];
  if (candidates.length === 0) return '';
  const best = closest(name, candidates);
  return distance(name, best) <= Math.max(3, name.length / 2) ? `; did you mean ${best}?` : '';
}

function toCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCamelCase);
  if (!isTable(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      toCamelCase(item),
    ]),
  );
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}
