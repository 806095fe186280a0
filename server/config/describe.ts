import { settingList, type SettingDescription } from './setting-list.js';

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
