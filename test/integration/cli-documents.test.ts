import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandRunner, readBlocks } from '../support/documented-commands.js';
import { TestReplica } from '../support/replica.js';
import { root } from '../support/root.js';
import { rtcEnvironment } from '../support/rtc.js';

const blocks = readBlocks(readFileSync(join(root, 'docs', 'cli.md'), 'utf8'));
const preamble = blocks
  .filter(({ mark }) => mark === 'preamble')
  .map(({ code }) => code)
  .join('\n');

describe('[DOCS] the one-liners of docs/cli.md', function () {
  this.timeout(60_000);
  const directory = mkdtempSync(join(tmpdir(), 'rtc-one-liners-'));
  let replica: TestReplica;
  let runner: CommandRunner;

  before(async () => {
    replica = await TestReplica.start();
    const environment = rtcEnvironment({ RTC: replica.url, SERVICE_DIR: root });
    runner = new CommandRunner({ directory, environment, preamble, limitMs: 30_000 });
  });
  after(async () => {
    await replica?.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  for (const block of blocks) {
    const { mark } = block;
    if (mark === 'preamble' || 'notRun' in mark) continue;
    it(`line ${block.line}: ${block.code.split('\n')[0]}`, () => runner.check(block, mark.expected));
  }
});
