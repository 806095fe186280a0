import assert from 'node:assert/strict';
import { CommandQueue } from '../../../server/gateway/command-queue.js';
import { FakeCaller, type StartedCommand } from '../../support/fake-caller.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('[P7] CommandQueue', () => {
  let clock: FakeClock;
  let queue: CommandQueue;
  let caller: FakeCaller;
  let started: StartedCommand[];

  const ask = (command: string, request?: unknown, from = caller) =>
    queue.run(from.connection, command, request);
  const names = () => started.map(({ command }) => command);
  const end = async (command: string) => {
    const at = started.findIndex((one) => one.command === command);
    started.splice(at, 1)[0]!.end({ ok: true });
    await clock.settle();
  };

  beforeEach(() => {
    clock = new FakeClock();
    started = [];
    caller = new FakeCaller(clock);
    queue = new CommandQueue({
      run: (_connection, command, request) =>
        new Promise((resolve) => started.push({ command, request, end: resolve })),
      isExpensive: (command) => ['history', 'missed', 'presence'].includes(command),
      isConnected: () => true,
      clock,
    });
  });

  it('runs several commands at once while the client reads', () => {
    for (const command of ['publish', 'ping', 'publish']) void ask(command);
    assert.deepEqual(names(), ['publish', 'ping', 'publish']);
  });

  it('returns to each command its own answer', async () => {
    const answers = Promise.all([ask('ping'), ask('subscribe')]);
    started[1]!.end({ ok: true, of: 'subscribe' } as never);
    started[0]!.end({ ok: true, of: 'ping' } as never);
    assert.deepEqual(await answers, [
      { ok: true, of: 'ping' },
      { ok: true, of: 'subscribe' },
    ]);
  });

  it('runs one expensive command at a time, and keeps the order of those after it', async () => {
    for (const command of ['history', 'ping', 'missed', 'publish', 'presence']) void ask(command);
    assert.deepEqual(names(), ['history', 'ping']);
    await end('ping');
    assert.deepEqual(names(), ['history']);
    await end('history');
    assert.deepEqual(names(), ['missed', 'publish']);
    await end('missed');
    assert.deepEqual(names(), ['publish', 'presence']);
  });

  it('starts nothing before the answer to the expensive one can be written', async () => {
    void ask('history');
    void ask('missed');
    started.shift()!.end({ ok: true });
    await Promise.resolve();
    assert.deepEqual(names(), []);
    await clock.runImmediates();
    assert.deepEqual(names(), ['missed']);
  });

  it('delays all commands while the answers are not read, and continues in order', () => {
    caller.isOverfull = true;
    for (let n = 0; n < 3; n++) void ask('publish', n);
    assert.deepEqual(names(), []);
    caller.drain();
    assert.deepEqual(
      started.map(({ request }) => request),
      [0, 1, 2],
    );
  });

  it('does not delay other connections', () => {
    caller.isOverfull = true;
    void ask('publish');
    const other = new FakeCaller(clock);
    void ask('ping', undefined, other);
    assert.deepEqual(names(), ['ping']);
  });

  it('stops reading a WebSocket with a hundred waiting commands, and continues when they are done', async () => {
    caller.isOverfull = true;
    for (let n = 0; n < 99; n++) void ask('ping');
    assert.equal(caller.paused, false);
    void ask('ping');
    assert.equal(caller.paused, true);
    caller.drain();
    assert.equal(started.length, 100);
    await clock.settle();
    assert.equal(caller.paused, false);
  });

  it('disconnects a client that sends commands for ever and never reads, and keeps none of them', () => {
    caller.isOverfull = true;
    for (let n = 0; n < 10_000; n++) void ask('ping');
    assert.equal(caller.disconnectedFor, undefined);
    void ask('ping');
    assert.equal(caller.disconnectedFor, 'slow_consumer');
    caller.drain();
    assert.equal(started.length, 0);
  });

  it('completes the running command when the connection leaves, and runs none of the waiting ones', async () => {
    const running = ask('history');
    const waiting = Promise.all([ask('missed'), ask('publish')]);
    queue.left(caller.connection);
    await end('history');
    assert.deepEqual(await running, { ok: true });
    // They end nevertheless: what they hold of limits is returned.
    for (const answer of await waiting) assert.equal(answer.ok === false && answer.error.code, 'conflict');
    caller.drain();
    await clock.settle();
    assert.deepEqual(names(), []);
  });
});
