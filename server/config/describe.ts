import type { z } from 'zod';
import { settingNames, variableOf } from './load.js';
import { settingsSchema, shortNames } from './schema.js';

/** A setting as the documentation shows it. */
export interface SettingDescription {
  /** `section.key`. */
  readonly name: string;
  /** As JSON; `none` for settings that are unset by default. */
  readonly initial: string;
  /** Environment variables, short names first. */
  readonly variables: readonly string[];
  readonly meaning: string;
}

/** Every setting with its default and meaning, from the schema. */
export function describeSettings(): SettingDescription[] {
  const defaults = settingsSchema.parse({}) as Record<string, unknown>;
  return settingNames().map((name) => {
    const [section, key] = name.split('.') as [string, string?];
    const value = key === undefined ? defaults[section] : (defaults[section] as Record<string, unknown>)[key];
    const short = Object.entries(shortNames).filter(
      ([, [itsSection, itsKey]]) => `${itsSection}.${itsKey}` === name,
    );
    return {
      name,
      initial: value === undefined ? 'none' : JSON.stringify(value),
      variables: [...short.map(([variable]) => variable), variableOf(name)],
      meaning: meaningOf(section, key),
    };
  });
}

/** The table of `docs/config.md`. */
export function settingsTable(): string {
  const rows = describeSettings().map(
    ({ name, initial, variables, meaning }) =>
      `| \`${name}\` | ${initial === 'none' ? 'none' : `\`${initial}\``} | ${variables.map((variable) => `\`${variable}\``).join(', ')} | ${meaning} |`,
  );
  return ['| setting | default | environment | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function meaningOf(section: string, key: string | undefined): string {
  const schema = settingsSchema.shape[
    section as keyof typeof settingsSchema.shape
  ] as unknown as z.ZodType & {
    def: { innerType?: { shape?: Record<string, z.ZodType> } };
  };
  const described = key === undefined ? schema : schema.def.innerType?.shape?.[key];
  return described?.meta()?.description ?? '';
}
