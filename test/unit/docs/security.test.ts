import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hardenedValues } from '../../../server/config/hardened.js';
import { settingList } from '../../../server/config/setting-list.js';
import { root } from '../../support/root.js';

const page = readFileSync(join(root, 'docs', 'security.md'), 'utf8');
const settings = new Map(settingList.map((setting) => [setting.name, setting]));
const sections = new Set(settingList.map(({ section }) => section));

/** The rows of the tables below a heading, without their heads. */
function rowsBelow(heading: string): string[] {
  const [, text = ''] = page.split(`## ${heading}\n`);
  const lines = (text.split('\n## ')[0] ?? '').split('\n');
  const isRule = (line = '') => line.startsWith('|---');
  return lines.filter((line, i) => line.startsWith('|') && !isRule(line) && !isRule(lines[i + 1]));
}

/** A whole title of a test, or of a group of tests. */
function titleOf(name: string): RegExp {
  return new RegExp(`\\b(?:it|describe)\\(\\s*(['"\`])${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\1`);
}

describe('[DOCS] docs/security.md', () => {
  it('names only settings that exist', () => {
    const named = [...page.matchAll(/`([a-z_]+)\.([a-z_]+)(?: = [^`]*)?`/g)].filter(([, section = '']) => sections.has(section));
    assert.ok(named.length > 30, `${named.length} settings are found`);
    for (const [, section, key] of named) assert.ok(settings.has(`${section}.${key}`), `${section}.${key}`);
  });

  it('names the defaults of settings as they are', () => {
    const defaults = [...page.matchAll(/`([a-z_]+\.[a-z_]+)` \(([^)]+)\)/g)].filter(([, name = '']) => settings.has(name));
    assert.ok(defaults.length > 15, `${defaults.length} defaults are found`);
    for (const [, name = '', value] of defaults) assert.equal(value, String(settings.get(name)!.default), name);
  });

  it('lists the profile hardened as it is', () => {
    const expected = hardenedValues.map(({ name, value, risk }) => {
      const code = (shown: unknown) => `\`${JSON.stringify(shown)}\``;
      const standard = name === 'permissions' ? 'everything for everybody' : code(settings.get(name)!.default);
      return `| \`${name}\` | ${standard} | ${code(value)} | ${risk} |`;
    });
    assert.deepEqual(rowsBelow('The profile hardened'), expected);
  });

  it('names tests that exist for everything that is bounded', () => {
    const rows = rowsBelow('What is bounded by what');
    assert.ok(rows.length > 80, `${rows.length} rows are found`);
    for (const row of rows) {
      // A file may have several: `file`: "name"; "name".
      const files = [...row.matchAll(/`(test\/[\w./-]+\.ts)`: ("[^"]+"(?:; "[^"]+")*)/g)];
      assert.ok(files.length > 0, `no test: ${row}`);
      for (const [, file = '', list = ''] of files) {
        const path = join(root, file);
        assert.ok(existsSync(path), file);
        const source = readFileSync(path, 'utf8');
        for (const [, name = ''] of list.matchAll(/"([^"]+)"/g))
          assert.match(source, titleOf(name), `${file} has no test "${name}"`);
      }
    }
  });
});
