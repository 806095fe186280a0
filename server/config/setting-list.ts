import { z } from 'zod';
import { settingsSchema, shortNames } from './schema.js';

/** Description of one setting, from the schema. */
export interface SettingDescription {
  /** `server.port`, or the section alone where the section is a list (`permissions`). */
  readonly name: string;
  readonly section: string;
  readonly key: string | undefined;
  /** `RTC_SERVER_PORT` */
  readonly variable: string;
  /** Other variables of the same meaning: `PORT`. {@link variable} overrides them, and the first one those after it. */
  readonly shortVariables: readonly string[];
  readonly kind: 'text' | 'number' | 'texts' | 'tables';
  readonly default: unknown;
  /** Rule for values, in words; empty if there is none. */
  readonly limits: string;
  readonly meaning: string;
}

/** Prefix of environment variables with settings. */
export const variablePrefix = 'RTC_';

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly description?: string;
}

/** Every setting, in the order of the schema. */
export const settingList: readonly SettingDescription[] = readSchema();

function readSchema(): SettingDescription[] {
  const { properties = {} } = z.toJSONSchema(settingsSchema, { io: 'input' }) as JsonSchema;
  return Object.entries(properties).flatMap(([section, schema]) =>
    schema.properties === undefined
      ? [describe(section, undefined, schema)]
      : Object.entries(schema.properties).map(([key, inner]) => describe(section, key, inner)),
  );
}

function describe(section: string, key: string | undefined, schema: JsonSchema): SettingDescription {
  const name = key === undefined ? section : `${section}.${key}`;
  return {
    name,
    section,
    key,
    variable: variablePrefix + name.replace('.', '_').toUpperCase(),
    shortVariables: Object.entries(shortNames)
      .filter(([, [itsSection, itsKey]]) => itsSection === section && itsKey === key)
      .map(([variable]) => variable)
      .reverse(),
    kind: kindOf(schema),
    default: schema.default,
    limits: limitsOf(schema),
    meaning: schema.description ?? '',
  };
}

function kindOf({ type, items }: JsonSchema): SettingDescription['kind'] {
  if (type === 'array') return items?.type === 'string' ? 'texts' : 'tables';
  return type === 'string' ? 'text' : 'number';
}

function limitsOf({ enum: choices, minimum, maximum }: JsonSchema): string {
  if (choices !== undefined) return choices.join(', ');
  return minimum === undefined ? '' : `${minimum} to ${maximum ?? ''}`.trim();
}
