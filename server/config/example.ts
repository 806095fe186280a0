import { stringify } from 'smol-toml';
import { settingList, type SettingDescription } from './setting-list.js';

/** The text of `config.example.toml`: every setting with its default and meaning; those without a default are commented out. */
export function exampleFile(): string {
  const sections = [...new Set(settingList.map(({ section }) => section))];
  return [
    '# Every setting with its default. Copy what you change into rtc.toml, or set it in the environment: docs/config.md.',
    ...sections.map((name) =>
      section(
        name,
        settingList.filter((setting) => setting.section === name),
      ),
    ),
  ].join('\n\n');
}

function section(name: string, settings: readonly SettingDescription[]): string {
  const [first] = settings;
  if (first !== undefined && first.key === undefined)
    return `# ${first.meaning}\n${stringify({ [name]: first.default }).trim()}`;
  return [`[${name}]`, ...settings.map(line)].join('\n');
}

function line({ key = '', default: initial, meaning }: SettingDescription): string {
  const value = initial === undefined ? `# ${key} = ""` : stringify({ [key]: initial }).trim();
  return `# ${meaning}\n${value}`;
}
