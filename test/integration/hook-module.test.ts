import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'socket.io-client';
import { Service, loadSettings, SettingsError } from '../../server/index.js';
import type { Message } from '../../shared/message.js';
import { ok, type Json } from '../support/admin.js';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { MainProcess } from '../support/main-process.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

const publish = (socket: Socket, topic: string, payload: unknown = 1): Promise<TestAnswer> =>
  socket.timeout(30_000).emitWithAck('publish', { topic, payload }) as Promise<TestAnswer>;
const codeOf = ({ ok, error }: TestAnswer) => (ok ? 'ok' : error!.code);

/** A module that does on the topic of that name what a module can do wrong. */
const module = `
const busy = (ms) => { const end = performance.now() + ms; while (performance.now() < end); };
module.exports = ({ RefusalError }) => ({
  async onPublish({ topic, payload, sender, id }) {
    switch (topic) {
      case 'loop': for (;;);
      case 'never': return new Promise(() => {});
      case 'exit': if (payload === 'exit') process.exit(7); return;
      case 'null': throw null;
      case 'unshown': throw Object.create(null, { [Symbol.for('nodejs.util.inspect.custom')]: { value() { throw 1; } } });
      case 'function': return { payload: () => {} };
      case 'cycle': { const cycle = {}; cycle.cycle = cycle; return { payload: cycle }; }
      case 'empty': return null;
      case 'memory': { const kept = []; for (;;) kept.push(new Array(100_000).fill(1.5)); }
      case 'later': setTimeout(() => { throw new Error('thrown later'); }, 1); return;
      case 'large': return { payload: 'x'.repeat(200_000) };
      case 'mutate': payload.n = 2; return;
      case 'refused': throw new RefusalError('forbidden', 'no messages of ' + sender, { retryAfterMs: 5, limit: () => {} });
      case 'other.class': throw Object.assign(new Error('of another copy'), { name: 'RefusalError', code: 'conflict' });
      case 'system': throw Object.assign(new Error('of the system'), { code: 'ENOENT' });
      case 'binary': return { payload: { is: Buffer.isBuffer(payload.part), back: Buffer.concat([payload.part, payload.part]) } };
      case 'burn': busy(payload); return;
      case 'enriched': return { payload: { payload, sender, id, module: true } };
    }
    if (topic.startsWith('uneven')) {
      // Later messages take less time, and some of them of the processor.
      if (payload % 3 === 0) busy(20 - payload); else await new Promise((end) => setTimeout(end, 40 - 2 * payload));
    }
  },
  onSubscribe({ topic, userId }) {
    if (topic === 'secret' && userId !== 'ann') throw new RefusalError('forbidden', 'a secret topic');
  },
  onConnect({ userId }) {
    if (userId === 'banned') throw new RefusalError('forbidden', 'you are banned');
  },
  onDisconnect({ userId }) {
    console.error('left: ' + userId);
  },
});`;

describe('[HOOKS] hooks of a module, on worker threads', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rtc-hooks-'));
  const write = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  let replica: TestReplica | undefined;
  const sockets: Socket[] = [];
  const start = async (text: string, environment: NodeJS.ProcessEnv = {}, name = 'hooks.cjs') => {
    replica = await TestReplica.start({
      RTC_HOOKS_MODULE: write(name, text),
      RTC_HOOKS_WORKER_HEAP_MB: '32',
      RTC_ACTOR_SYSTEM_POOL_SIZE: '2',
      RTC_ACTOR_SYSTEM_RESTART_BACKOFF_MS: '10',
      // A busy machine is no fault of a hook.
      RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '20000',
      ...environment,
    });
    return replica;
  };
  const connect = async (user = 'ann') => {
    const socket = await connectClient(replica!.url, user);
    sockets.push(socket);
    return socket;
  };
  const admin = (path: string) => ok(replica!, 'GET', path);
  const poolMetrics = async () => (await replica!.json<Json>('/metrics'))['hook_pool'] as Json;

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.disconnect();
    await replica?.end('SIGKILL');
    replica = undefined;
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('see, change and refuse what clients ask, with binary parts', async () => {
    await start(module);
    const ann = await connect();
    const messages: Message[] = [];
    ann.on('message', (message: Message) => messages.push(message));
    await emit(ann, 'subscribe', { topics: ['enriched', 'binary', 'mutate'] });
    const answer = await publish(ann, 'enriched', { a: 'ä' });
    assert.equal((await publish(ann, 'binary', { part: Buffer.from('part') })).ok, true);
    assert.equal((await publish(ann, 'mutate', { n: 1 })).ok, true);
    await until(() => messages.length === 3, 'all messages have come');
    const payloadOf = (topic: string) => messages.find((message) => message.topic === topic)!.payload;
    assert.deepEqual(payloadOf('enriched'), {
      payload: { a: 'ä' },
      sender: 'ann',
      id: answer.id,
      module: true,
    });
    assert.deepEqual(payloadOf('binary'), { is: true, back: Buffer.from('partpart') });
    assert.deepEqual(payloadOf('mutate'), { n: 1 });
    assert.deepEqual((await publish(ann, 'refused')).error, {
      code: 'forbidden',
      message: 'no messages of ann',
      retry_after_ms: 5,
    });
    assert.equal(codeOf(await publish(ann, 'other.class')), 'conflict');
    assert.equal(codeOf(await publish(ann, 'system')), 'internal');
    assert.equal(codeOf(await publish(ann, 'large')), 'message_too_large');

    await assert.rejects(connect('banned'), /you are banned/);
    const bob = await connect('bob');
    const refused = (await emit(bob, 'subscribe', { topics: ['secret'] })) as unknown as Json;
    assert.match(JSON.stringify(refused), /a secret topic/);
    bob.disconnect();
    await until(() => replica!.output.includes('left: bob'), 'onDisconnect has run');
  });

  it('answer whatever a hook does, replace its worker, and tell operators once, with a remedy', async () => {
    await start(module, { RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '3000' });
    const ann = await connect();
    const expected: [topic: string, payload: unknown, code: string][] = [
      ['loop', 1, 'timeout'],
      ['loop', 1, 'timeout'],
      ['never', 1, 'timeout'],
      ['exit', 'exit', 'internal'],
      ['null', 1, 'internal'],
      ['unshown', 1, 'internal'],
      ['function', 1, 'internal'],
      ['cycle', 1, 'invalid_payload'],
      ['empty', 1, 'internal'],
      ['memory', 1, 'internal'],
      ['later', 1, 'ok'],
    ];
    for (const [topic, payload, code] of expected) {
      const answer = await publish(ann, topic, payload);
      assert.equal(codeOf(answer), code, `${topic}: ${JSON.stringify(answer)}`);
      if (code === 'timeout')
        assert.match(answer.error!.message, /3000 ms \(actor_system\.hook_timeout_ms\)/);
      // The thread that has thrown later takes with it what it is doing then.
      if (topic === 'later') await until(async () => (await poolMetrics())['replaced']['ended'] === 2, topic);
      assert.equal(codeOf(await publish(ann, 'fine')), 'ok', `after ${topic}`);
    }
    const reasons = { timeout: 3, memory: 1, ended: 2, load: 0 };
    await until(
      async () => JSON.stringify((await poolMetrics())['replaced']) === JSON.stringify(reasons),
      'the metrics count the workers that were replaced',
    );
    await until(async () => ((await poolMetrics())['workers'] as Json)['idle'] === 2, 'all workers are back');
    const calls = (await poolMetrics())['calls'] as Json;
    assert.deepEqual([calls['timeout'], calls['busy']], [3, 0]);
    const { actors } = await admin('/actors?prefix=worker:');
    assert.deepEqual((actors as Json[]).map(({ actor_id: id, state }) => [id, state]).sort(), [
      ['worker:hooks/1', 'running'],
      ['worker:hooks/2', 'running'],
    ]);
    assert.equal(
      (actors as Json[]).reduce((sum, { restart_count: count }) => sum + (count as number), 0),
      6,
    );
    const { alerts } = await admin('/alerts');
    const told = (alerts as Json[]).filter(({ kind }) => kind === 'hook_worker_replaced');
    assert.deepEqual(told.map(({ details }) => (details as Json)['reason']).sort(), [
      'ended',
      'memory',
      'timeout',
    ]);
    const stuck = told.find(({ details }) => (details as Json)['reason'] === 'timeout')!['details'] as Json;
    assert.deepEqual([stuck['hook'], stuck['topic']], ['onPublish', 'loop']);
    assert.match(String(stuck['remedy']), /actor_system\.hook_timeout_ms/);
  }).timeout(90_000);

  it('keep the order of each topic, however long each message takes', async () => {
    await start(module, { RTC_ACTOR_SYSTEM_POOL_SIZE: '4' });
    const ann = await connect();
    const topics = ['uneven.1', 'uneven.2', 'uneven.3'];
    const received = new Map<string, unknown[]>(topics.map((topic) => [topic, []]));
    ann.on('message', ({ topic, payload }: Message) => received.get(topic)!.push(payload));
    await emit(ann, 'subscribe', { topics });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => topics.map((topic) => publish(ann, topic, n))).flat(),
    );
    assert.ok(
      answers.every((answer) => answer.ok),
      JSON.stringify(answers.find((answer) => !answer.ok)),
    );
    await until(() => topics.every((topic) => received.get(topic)!.length === 20), 'all have come');
    for (const topic of topics)
      assert.deepEqual(
        received.get(topic),
        Array.from({ length: 20 }, (_, n) => n),
      );
  });

  it('leave the event loop and the other topics free while a topic computes', async () => {
    await start(module);
    const ann = await connect();
    let hasEnded = false;
    const burning = Promise.all([1, 2, 3].map(() => publish(ann, 'burn', 1000))).then((answers) => {
      hasEnded = true;
      return answers;
    });
    await until(async () => ((await poolMetrics())['workers'] as Json)['busy'] === 1, 'it computes');
    for (let i = 0; i < 5; i++) {
      assert.equal((await fetch(`${replica!.url}/health/live`)).status, 200);
      assert.equal(codeOf(await publish(ann, `other.${i}`)), 'ok');
    }
    assert.equal(hasEnded, false);
    assert.deepEqual((await burning).map(codeOf), ['ok', 'ok', 'ok']);
  });

  it('lose one call only when a worker ends while a hundred wait', async () => {
    await start(module, { RTC_ACTOR_SYSTEM_POOL_SIZE: '1' });
    const ann = await connect();
    const answers = await Promise.all([
      publish(ann, 'exit', 'exit'),
      ...Array.from({ length: 100 }, (_, n) => publish(ann, `other.${n}`)),
      publish(ann, 'exit', 'a later one of the topic'),
    ]);
    assert.deepEqual(answers.map(codeOf), ['internal', ...Array<string>(101).fill('ok')]);
  });

  it('are refused while the module cannot be loaded again, and run when it is mended', async () => {
    await start(module, { RTC_ACTOR_SYSTEM_POOL_SIZE: '1' });
    const ann = await connect();
    write('hooks.cjs', 'this is not a program');
    assert.equal(codeOf(await publish(ann, 'exit', 'exit')), 'internal');
    await until(async () => codeOf(await publish(ann, 'fine')) === 'unavailable', 'it is refused', 20_000);
    const { alerts } = await admin('/alerts');
    const loads = (alerts as Json[]).filter(({ details }) => (details as Json)['reason'] === 'load');
    assert.equal(loads.length, 1);
    assert.match(JSON.stringify(loads[0]), /SyntaxError/);
    write('hooks.cjs', module);
    await until(async () => codeOf(await publish(ann, 'fine')) === 'ok', 'it runs again', 20_000);
  });

  it('of the kind ESM are exported by name too, and what is not there costs nothing', async () => {
    await start('export const onConnect = () => {}; export const version = 1;', {}, 'hooks.mjs');
    const ann = await connect();
    assert.equal(codeOf(await publish(ann, 'fine')), 'ok');
    assert.equal(((await poolMetrics())['calls'] as Json)['done'], 1);
  });

  it('end with the process, also those under way and those that wait', async () => {
    await start(module, {
      RTC_ACTOR_SYSTEM_HOOK_TIMEOUT_MS: '60000',
      RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '6000',
    });
    const ann = await connect();
    const stuck = publish(ann, 'loop').catch(() => 'cut off');
    const waiting = publish(ann, 'loop').catch(() => 'cut off');
    await until(async () => ((await poolMetrics())['workers'] as Json)['busy'] === 1, 'it is stuck');
    const { end } = replica!;
    assert.equal(await end.call(replica), 0, replica!.output);
    await Promise.all([stuck, waiting]);
  });

  const faults: [what: string, name: string, text: string, message: RegExp][] = [
    ['is missing', 'none.js', '', /hooks\.module: .*none\.js cannot be loaded: .*Cannot find module/],
    [
      'has a syntax error',
      'syntax.mjs',
      'export const onPublish = (;',
      /syntax\.mjs cannot be loaded: [^]*SyntaxError/,
    ],
    [
      'throws',
      'throws.cjs',
      'throw new Error("no database");',
      /throws\.cjs cannot be loaded: Error: no database/,
    ],
    ['ends its thread', 'exits.cjs', 'process.exit(0);', /exits\.cjs cannot be loaded: its thread has ended/],
    [
      'has no hooks',
      'empty.cjs',
      'module.exports = { version: 1 };',
      /none of the hooks onPublish, onSubscribe/,
    ],
    [
      'has a misspelt hook',
      'typo.cjs',
      'module.exports = { onConnect() {}, onPublsh() {} };',
      /no hook onPublsh; did you mean onPublish\?/,
    ],
    [
      'has a hook that is no function',
      'text.cjs',
      'module.exports = { onPublish: "no" };',
      /onPublish is not a function/,
    ],
    ['exports a text', 'export.cjs', 'module.exports = "no";', /it has to export hooks/],
  ];
  for (const [what, name, text, message] of faults) {
    it(`keep the service from starting if the module ${what}`, async () => {
      const path = text === '' ? join(directory, name) : write(name, text);
      const main = await MainProcess.start({ RTC_HOOKS_MODULE: path });
      try {
        assert.equal(await main.ended(), 2, main.output);
        assert.match(main.output, message);
        assert.doesNotMatch(main.output, /\n {4}at /);
      } finally {
        await main.kill();
      }
    });
  }

  it('keep the service from starting if a thread has too little memory to start', async () => {
    const main = await MainProcess.start({
      RTC_HOOKS_MODULE: write('hooks.cjs', module),
      RTC_HOOKS_WORKER_HEAP_MB: '1',
    });
    try {
      assert.equal(await main.ended(), 2, main.output);
      assert.match(main.output, /cannot be loaded: its thread has used all of its memory/);
    } finally {
      await main.kill();
    }
  });

  it('are refused beside hooks of a program', () => {
    const settings = loadSettings({ RTC_HOOKS_MODULE: write('both.cjs', module) });
    assert.throws(
      () => new Service(settings, { hooks: {} }),
      (error) => error instanceof SettingsError && /hooks\.module: the program/.test(error.message),
    );
  });
});
