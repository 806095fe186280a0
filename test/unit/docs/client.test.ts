import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClientError } from '../../../client/client-error.js';
import { defaults } from '../../../client/options.js';
import { stateDefaults } from '../../../client/saved-state.js';
import { errorTable } from '../../../shared/errors.js';
import { root } from '../../support/root.js';

const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
const section = (title: string) => page.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;
const source = (file: string) => readFileSync(join(root, 'client', file), 'utf8');

/** The rows of the first table of a section whose header begins with a word. */
function rows(title: string, header: string): string[][] {
  const [, table = ''] = section(title).split(`| ${header} |`);
  return table
    .split('\n\n')[0]!
    .split('\n')
    .slice(2)
    .filter((row) => row.startsWith('|'))
    .map((row) => row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
}

describe('[DOCS] docs/client.md', () => {
  it('names the size of every entry, as its budget has it', () => {
    const script = readFileSync(join(root, 'scripts/client-bundles.cjs'), 'utf8');
    const budgets = new Map(
      [...script.split('const budgets = {')[1]!.split('}')[0]!.matchAll(/(\w+): ([\d_]+)/g)].map(
        ([, entry = '', bytes = '']) => [entry, Number(bytes.replace('_', ''))] as const,
      ),
    );
    const table = page.split('| entry |')[1]!.split('\n\n')[0]!;
    const documented = [...table.matchAll(/`realtime-communication\/client\/?(\w*)` \| ([\d.]+) KB/g)].map(
      ([, entry = '', kilobytes = '']) => [entry === '' ? 'index' : entry, Number(kilobytes) * 1000] as const,
    );
    assert.deepEqual(documented.map(([entry]) => entry).sort(), [...budgets.keys()].sort());
    for (const [entry, bytes] of documented) assert.ok(bytes <= budgets.get(entry)!, entry);
  });

  it('lists every option with its default', () => {
    const documented = new Map<string, string>();
    for (const [names = '', value = ''] of rows('Options', 'option | default'))
      for (const name of names.split(', ')) documented.set(name.replaceAll('`', ''), value.replaceAll('`', ''));
    const text = source('options.ts').split('export interface ClientOptions {')[1]!.split('\n}')[0]!;
    const declared = new Map<string, unknown>();
    let group = '';
    for (const line of text.split('\n')) {
      const name = /^ +readonly (\w+)\??:/.exec(line)?.[1];
      if (line === '  };') group = '';
      else if (name !== undefined && line.endsWith('{')) group = name;
      else if (name !== undefined) {
        const values = (group === '' ? defaults : defaults[group as keyof typeof defaults]) as Record<string, unknown>;
        declared.set(group === '' ? name : `${group}.${name}`, values[name]);
      }
    }
    assert.deepEqual([...documented.keys()], [...declared.keys()]);
    for (const [name, value] of declared)
      assert.equal(
        documented.get(name),
        value === undefined ? '–' : value === Infinity ? 'Infinity' : JSON.stringify(value),
        name,
      );
  });

  it('lists every option of the saved state with its default', () => {
    const documented = rows('Pages that are reloaded', 'option of `savedState` | default');
    assert.deepEqual(
      documented.map(([name, value]) => [name, value]),
      Object.entries(stateDefaults).map(([name, value]) => [`\`${name}\``, `\`${JSON.stringify(value)}\``]),
    );
  });

  it('lists every code that the library adds', () => {
    const declared = source('client-error.ts')
      .split('export type ClientErrorCode =')[1]!
      .split(';')[0]!
      .match(/'(\w+)'/g)!
      .map((code) => code.replaceAll("'", ''));
    assert.deepEqual(
      rows('Errors', 'code').map(([code]) => code!.replaceAll('`', '')),
      declared,
    );
  });

  it('calls those errors of the service retryable that may be repeated without a change', () => {
    for (const [code, { retry }] of Object.entries(errorTable))
      assert.equal(new ClientError(code as keyof typeof errorTable, '').retryable, retry === 'yes', code);
  });
});
