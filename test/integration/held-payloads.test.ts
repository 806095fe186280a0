import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Inspector } from '../../bench/inspector.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

const messages = 50;
const payloadBytes = 60_000;
/** What the process may hold of a message that waits, for each of its bytes: the entry for the log, and its own objects. */
const heldLimit = 1.5;

const publishOf = (n: number, payload: string) => ({ topic: `t.${n}`, payload });
const directOf = (n: number, payload: string) => ({ to: `user-${n}`, payload, confirm: 'stored' });

/** How a message is sent on a wire, and what its answer begins with. */
const wires = [
  {
    name: 'on Socket.IO',
    path: '/socket.io/?EIO=4&transport=websocket',
    join: `40${JSON.stringify({ token: tokenOf('sender') })}`,
    messageOf: (n: number, payload: string) => `421["publish",${JSON.stringify(publishOf(n, payload))}]`,
    answer: '431[{"ok":true',
  },
  {
    name: 'on /ws',
    path: `/ws?token=${tokenOf('sender')}`,
    join: undefined,
    messageOf: (n: number, payload: string) =>
      JSON.stringify({ type: 'Broadcast', id: 1, data: publishOf(n, payload) }),
    answer: '{"type":"Ack"',
  },
  {
    name: 'to a user',
    path: `/ws?token=${tokenOf('sender')}`,
    join: undefined,
    messageOf: (n: number, payload: string) =>
      JSON.stringify({ type: 'Direct', id: 1, data: directOf(n, payload) }),
    answer: '{"type":"Ack"',
  },
];

describe('[LIMITS] messages that wait for Redis', function () {
  let redis: TestRedis;
  // A process of its own: here, what earlier tests have left is collected meanwhile.
  let replica: TestReplica;
  let inspector: Inspector;

  before(async () => {
    redis = await TestRedis.start();
    const port = await freePort();
    replica = await TestReplica.start({
      REDIS_URL: redis.url,
      // Redis counts as reachable for as long as the tests stop it.
      RTC_REDIS_COMMAND_TIMEOUT_MS: '60000',
      NODE_OPTIONS: `--inspect=127.0.0.1:${port}`,
    });
    inspector = await Inspector.connect(port);
  });

  after(async () => {
    await redis.signal('SIGCONT');
    inspector.close();
    await replica.end();
    await redis.stop();
  });

  /** What is in use after the garbage was collected. */
  async function usedBytes(): Promise<number> {
    await inspector.collectGarbage();
    return inspector.usedBytes();
  }

  for (const { name, path, join, messageOf, answer } of wires)
    it(`are in memory once: ${name}`, async () => {
      const client = new WebSocket(replica.url.replace('http', 'ws') + path);
      let isReady = false;
      let answers = 0;
      client.on('message', (data: Buffer) => {
        const text = data.toString('latin1', 0, 100);
        if (text.startsWith('42["status"') || text.startsWith('{"type":"Status"')) isReady = true;
        if (text.startsWith(answer)) answers++;
      });
      await new Promise((resolve) => client.once('open', resolve));
      if (join !== undefined) client.send(join);
      await until(() => isReady, 'the client has joined');
      const send = (payload: string) => {
        for (let n = 0; n < messages; n++) client.send(messageOf(n, payload));
      };
      send('short');
      await until(() => answers === messages, 'the topics exist');

      const before = await usedBytes();
      await redis.signal('SIGSTOP');
      send('x'.repeat(payloadBytes));
      // An answer to a ping of the WebSocket follows the frames before it, which have been read.
      client.ping();
      await new Promise((resolve) => client.once('pong', resolve));
      const held = ((await usedBytes()) - before) / (messages * payloadBytes);
      assert.equal(answers, messages);
      await redis.signal('SIGCONT');
      await until(() => answers === 2 * messages, 'all are answered', 20_000);
      client.close();
      assert.ok(held < heldLimit, `${held.toFixed(2)} bytes for each byte of a message`);
      assert.ok(held > 0.9, `${held.toFixed(2)} bytes: not all were waiting`);
    });
});
