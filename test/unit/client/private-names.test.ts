import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/root.js';

const scripts = join(root, 'scripts');
// eslint-disable-next-line @typescript-eslint/no-require-imports
const { privateNames } = require(join(scripts, 'client-private-names.cjs')) as {
  privateNames(entries: readonly string[]): string[];
};

describe('[CLIENT] the names that the bundles shorten', function () {
  this.timeout(60_000);
  let names: string[];

  before(() => {
    names = privateNames(['index', 'guide', 'outbox', 'react', 'state', 'tabs']);
  });

  it('are those of private members', () => {
    for (const name of ['isPumping', 'goLive', 'serverDelayMs', 'watchPresence'])
      assert.ok(names.includes(name), name);
  });

  it('are none that an app uses', () => {
    const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
    // `.name` and `name:`.
    const used = new Set(
      [...page.matchAll(/```(?:js|ts|html)\n([^]*?)```|`([^`\n]+)`/g)].flatMap(
        ([, program = '', inline = '']) => (program + inline).match(/(?<=\.)\w+|\w+(?=:)/g) ?? [],
      ),
    );
    assert.deepEqual(
      names.filter((name) => used.has(name)),
      [],
    );
  });

  it('are none by which entries of the app know each other, which may be ES modules and CommonJS', () => {
    assert.deepEqual(
      names.filter((name) => ['content', 'load', 'save', 'add', 'connected', 'size', 'close'].includes(name)),
      [],
    );
  });

  it('are none that is sent, stored, or of another tab', () => {
    const sent =
      'session_id positions direct topics timestamp epoch sequence topic payload key command body sentAt item owner order since recovered presence rejected error code message retry_after_ms field limit size settings hub from to token n wake state answer event data reason latencyMs url path transports reconnect connectTimeoutMs requestTimeoutMs probeTimeoutMs pingEveryMs';
    assert.deepEqual(
      names.filter((name) => sent.split(' ').includes(name)),
      [],
    );
  });
});
