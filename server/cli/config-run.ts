import { dangersOf, type Danger } from '../config/dangers.js';
import { hiddenValue, publicSettings } from '../config/describe.js';
import { loadSettings, loadWritten, SettingsError } from '../config/load.js';
import { settingList, type SettingDescription } from '../config/setting-list.js';
import { didYouMean } from '../primitives/did-you-mean.js';
import { usageError } from './cli-error.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import type { Terminal } from './terminal.js';

/** `rtc config print` */
export function printSettings(file: string | undefined, terminal: Terminal): void {
  const settings = publicSettings(loadSettings(process.env, file));
  terminal.result(settings, () => JSON.stringify(settings, null, 2));
}

/** `rtc config check`. Ends with 1 if the configuration lacks something of the profile. */
export function checkSettings(
  file: string | undefined,
  profile: 'hardened' | undefined,
  terminal: Terminal,
): ExitCode {
  let dangers: Danger[];
  try {
    dangers = dangersOf(loadSettings(process.env, file));
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    terminal.note(error.message);
    terminal.result({ valid: false, problems: error.problems, lacking: [] }, () => '');
    return exitCodes.usage;
  }
  const lacking = dangers.map(({ setting, present, hardened = null, risk, remedy }) => {
    return { setting, present, hardened, risk, remedy };
  });
  terminal.result({ valid: true, problems: [], lacking }, () =>
    profile === undefined ? checked(dangers) : compared(dangers),
  );
  return profile !== undefined && dangers.length > 0 ? exitCodes.failed : exitCodes.done;
}

function checked(dangers: readonly Danger[]): string {
  return dangers.length === 0
    ? 'the settings are valid'
    : `the settings are valid; ${dangers.length} lack something of the profile hardened: see --profile hardened`;
}

/** One line per setting. */
function compared(dangers: readonly Danger[]): string {
  if (dangers.length === 0) return 'nothing is missing of the profile hardened';
  return dangers
    .map(({ setting, present, hardened, risk, remedy }) => {
      const values = `present ${JSON.stringify(present)}${hardened === undefined ? '' : `, hardened ${JSON.stringify(hardened)}`}`;
      return `${setting}: ${values} (${risk}); ${remedy}`;
    })
    .join('\n');
}

/** A setting, explained. */
interface ExplainedSetting {
  readonly setting: string;
  readonly meaning: string;
  readonly value: unknown;
  /** `default`, `file rtc.toml`, `variable PORT`, `profile hardened`. */
  readonly source: string;
  readonly default: unknown;
  readonly values: string;
  readonly variables: readonly string[];
}

/** `rtc config explain` */
export function explainSettings(
  file: string | undefined,
  asked: string | undefined,
  terminal: Terminal,
): void {
  const { written, sources } = loadWritten(process.env, file);
  const all = settingList.map((setting) => explained(setting, written, sources));
  const found =
    asked === undefined
      ? all.filter(({ source }) => source !== 'default')
      : all.filter(({ setting }) => setting === asked || setting.startsWith(`${asked}.`));
  if (asked !== undefined && found.length === 0) {
    const names = settingList.flatMap(({ name, section }) => [name, section]);
    throw usageError(`there is no setting ${asked}${didYouMean(asked, names, 3)}`);
  }
  terminal.result(
    { settings: found },
    () => found.map(inWords).join('\n\n') || 'every setting is at its default',
  );
}

function explained(
  {
    name,
    section,
    key,
    default: initial,
    limits,
    kind,
    meaning,
    variable,
    shortVariables,
  }: SettingDescription,
  written: object,
  sources: ReadonlyMap<string, string>,
): ExplainedSetting {
  const table = (written as Readonly<Record<string, unknown>>)[section];
  const value = key === undefined ? table : (table as Readonly<Record<string, unknown>>)[key];
  const kinds = { text: 'text', number: 'number', texts: 'list', tables: 'tables' } as const;
  return {
    setting: name,
    meaning,
    value: hiddenValue(key ?? section, value) ?? null,
    source: sources.get(name) ?? 'default',
    default: initial ?? null,
    values: limits === '' ? kinds[kind] : limits,
    variables: [...shortVariables, variable],
  };
}

function inWords({
  setting,
  meaning,
  value,
  source,
  default: initial,
  values,
  variables,
}: ExplainedSetting): string {
  return [
    `${setting} = ${JSON.stringify(value)}  (${source})`,
    `  ${meaning}`,
    `  default ${JSON.stringify(initial)}; ${values}; ${variables.join(', ')}`,
  ].join('\n');
}
