import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '../../client/index.js';
import { Closing } from '../support/closing.js';
import { endsWithTests } from '../support/ends-with-tests.js';
import { root } from '../support/root.js';
import { secret, TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const examples = join(root, 'examples');

describe('[DOCS] examples', () => {
  const closing = new Closing();
  afterEach(() => closing.close());

  /** Starts an example. `output` grows. */
  function start(name: string, environment: NodeJS.ProcessEnv) {
    const { HOME, PATH } = process.env;
    const child = spawn(process.execPath, [join(examples, name)], { env: { HOME, PATH, ...environment } });
    endsWithTests(child);
    const run = {
      output: '',
      ended: new Promise<number | null>((resolve) => child.once('close', resolve)),
      child,
    };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => (run.output += data.toString()));
    closing.add(async () => {
      child.kill('SIGKILL');
      await run.ended;
    });
    return run;
  }

  const expected: Record<string, string> = {
    'worker.mjs': 'job 1 is message 1\njob 2 is message 2\njob 3 is message 3\n',
    'socketio-client.mjs': 'jobs 1 {"hi":1}\n',
    'ws-client.mjs': 'jobs 1 {"hi":2}\n',
  };
  for (const [name, output] of Object.entries(expected))
    it(`${name} runs`, async () => {
      const replica = await TestReplica.start();
      closing.add(() => replica.end('SIGKILL'));
      const run = start(name, { URL: replica.url, TOKEN: tokenOf('ann') });
      assert.equal(await run.ended, 0, run.output);
      assert.equal(run.output, output);
    });

  it('embedded.mjs runs, refuses what its hook refuses, and ends in order', async () => {
    const environment = { JWT_SECRET: secret, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'error' };
    const run = start('embedded.mjs', environment);
    await until(() => /listening on \d+\n/.test(run.output), 'it listens', 20_000);
    const url = `http://127.0.0.1:${/listening on (\d+)/.exec(run.output)![1]}`;
    assert.deepEqual(await (await fetch(`${url}/hello`)).json(), { hello: 'world' });
    const client = createClient({ url, token: tokenOf('ann') }).connect();
    closing.add(() => Promise.resolve(client.close()));
    await client.topic('orders').publish({ amount: 1 });
    await assert.rejects(client.topic('orders').publish({}), {
      code: 'invalid_payload',
      field: 'payload.amount',
    });
    client.close();
    run.child.kill('SIGTERM');
    assert.equal(await run.ended, 0, run.output);
  });

  it('are all run, the pages in the test of the client in Chromium', () => {
    const inChromium = ['chat-page', 'react-chat'];
    assert.deepEqual(
      readdirSync(examples).sort(),
      [...inChromium, 'embedded.mjs', ...Object.keys(expected)].sort(),
    );
  });
});
