import { camelCase } from './camel-case.js';
import type { Settings } from './schema.js';
import { settingList, type SettingDescription } from './setting-list.js';

/** The settings without secrets, for display. */
export function publicSettings(settings: Settings): object {
  return JSON.parse(JSON.stringify(settings, hideSecret)) as object;
}

/** The value of one setting without secrets, for display. */
export function hiddenValue(key: string, value: unknown): unknown {
  return value === undefined
    ? undefined
    : (JSON.parse(JSON.stringify({ [camelCase(key)]: value }, hideSecret)) as Record<string, unknown>)[
        camelCase(key)
      ];
}

function hideSecret(key: string, value: unknown): unknown {
  if (key === 'jwtSecret') return '[hidden]';
  if (typeof value !== 'string') return value;
  // The address of a webhook is often its only protection.
  if (key === 'alertWebhookUrl') return new URL(value).origin;
  // Keys are also given in the query.
  return value.includes('://')
    ? value.replace(/\/\/[^/]*@/, '//[hidden]@').replace(/\?.*$/s, '?[hidden]')
    : value;
}

/** The table of `docs/config.md`: every setting with its default, limits, variables and meaning, from the schema. */
export function settingsTable(): string {
  return [
    '| setting | default | values | environment | meaning |',
    '|---|---|---|---|---|',
    ...settingList.map(row),
  ].join('\n');
}

function row({ name, kind, limits, meaning, ...rest }: SettingDescription): string {
  const initial = rest.default === undefined ? 'none' : code(JSON.stringify(rest.default));
  const variables = [...rest.shortVariables, rest.variable].map(code).join(', ');
  const values =
    limits === '' ? { text: 'text', number: 'number', texts: 'list', tables: 'tables' }[kind] : limits;
  return `| ${code(name)} | ${initial} | ${values} | ${variables} | ${meaning} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}
