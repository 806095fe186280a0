import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/root.js';

const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The files that define a command, with its name on Socket.IO and the type of its frame on `/ws`. */
const commands = readdirSync(join(root, 'server', 'commands')).flatMap((file) => {
  const text = read(join('server', 'commands', file));
  const factory = /^export function (\w+Command)\(/m.exec(text)?.[1];
  if (factory === undefined) return [];
  const name = /^ {4}name: '(\w+)',$/m.exec(text)?.[1];
  const frame = /^ {4}frame: \{\s*type: '(\w+)',/m.exec(text)?.[1];
  assert.ok(name !== undefined && frame !== undefined, `${file} has the name and the frame of its command`);
  return [{ factory, name, frame }];
});

/** The first two cells of the rows of a section of docs/SPEC.md, as `a | b`, without the marks of code. */
function rowsOf(heading: string): string[] {
  const section = read('docs/SPEC.md').split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return [...section.matchAll(/^\| `(\w+)`[^|]* \| (?:`(\w+)` )?/gm)].map(([, a, b]) => `${a} | ${b}`);
}

describe('[DOCS] the commands', () => {
  it('are all registered, and all in the tables of docs/SPEC.md', () => {
    const wiring = read('server/app/commands.ts');
    const named = new Set(rowsOf('Commands').map((row) => row.split(' | ')[0]));
    const framed = new Set(rowsOf('`/ws`'));
    assert.ok(commands.length > 0);
    for (const { factory, name, frame } of commands) {
      assert.ok(wiring.includes(` ${factory}(`), `server/app/commands.ts calls ${factory}`);
      assert.ok(named.has(name), `docs/SPEC.md, "Commands", has a row for ${name}`);
      assert.ok(framed.has(`${frame} | ${name}`), `docs/SPEC.md, "/ws", has a row for ${frame} and ${name}`);
    }
    assert.equal(named.size, commands.length, 'docs/SPEC.md names no other command');
  });
});
