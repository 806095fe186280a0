import { shortNames } from './schema.js';
import { didYouMean } from '../primitives/did-you-mean.js';
import { settingList, variablePrefix, type SettingDescription } from './setting-list.js';

/** Names the settings file. */
export const fileVariable = 'RTC_CONFIG';

/** A setting from the environment. */
interface VariableValue {
  readonly setting: SettingDescription;
  readonly variable: string;
  readonly value: unknown;
}

/**
 * Reads the settings in the environment. `RTC_SECTION_KEY` overrides a short name, and `LOG_LEVEL` overrides `RUST_LOG`. An empty
 * variable counts as not set, because process managers and compose files pass such variables.
 */
export function readEnvironment(environment: NodeJS.ProcessEnv): {
  readonly values: readonly VariableValue[];
  readonly problems: readonly string[];
} {
  const values: VariableValue[] = [];
  const problems: string[] = [];
  const byVariable = new Map(settingList.map((setting) => [setting.variable, setting]));
  const byName = new Map(settingList.map((setting) => [setting.name, setting]));
  for (const [variable, [section, key]] of Object.entries(shortNames)) {
    const text = environment[variable];
    const setting = byName.get(`${section}.${key}`);
    if (text !== undefined && text !== '' && setting !== undefined)
      values.push({ setting, variable, value: readText(setting, text) });
  }
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(variablePrefix) || variable === fileVariable) continue;
    const setting = byVariable.get(variable);
    if (setting === undefined)
      problems.push(
        `unknown setting: variable ${variable}${didYouMean(variable, [...byVariable.keys()], 3)}`,
      );
    else if (text !== undefined && text !== '')
      values.push({ setting, variable, value: readText(setting, text) });
  }
  return { values, problems };
}

/** Text settings are taken literally, even if they look like numbers. Lists are comma-separated or JSON; all others are JSON. */
function readText({ kind }: SettingDescription, text: string): unknown {
  if (kind === 'text') return text;
  if (kind === 'texts' && !text.trimStart().startsWith('['))
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  try {
    return JSON.parse(text);
  } catch {
    // The schema reports the expected type.
    return text;
  }
}
