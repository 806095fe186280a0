import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { systemClock, type Clock } from '../../client/clock.js';
import { createClient, type Client, type ClientOptions } from '../../client/index.js';
import { sendDirects } from '../support/client-rig.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/**
 * Counts how many timers have led to each timer, one in the callback of the other. Browsers slow down what such a chain of
 * five does in a hidden tab, down to once a minute; what an arriving message arms begins anew.
 */
class ChainClock implements Clock {
  /** The longest chain of timers, by their delay in milliseconds. */
  readonly longest = new Map<number, number>();
  readonly now = systemClock.now;
  readonly wallTime = systemClock.wallTime;
  readonly clearTimer = systemClock.clearTimer;
  private chain = 0;

  setTimeout(run: () => void, delayMs: number) {
    const chain = this.chain + 1;
    this.longest.set(delayMs, Math.max(chain, this.longest.get(delayMs) ?? 0));
    return systemClock.setTimeout(() => {
      this.chain = chain;
      run();
      // Promises that settle in this turn belong to it.
      let turns = 10;
      const end = () => (turns-- > 0 ? queueMicrotask(end) : void (this.chain = 0));
      end();
    }, delayMs);
  }
}

describe('[CLIENT] the connection of the client library', function () {
  this.timeout(60_000);
  const closing = new Closing();
  let replica: TestReplica;
  let path: FaultProxy;

  beforeEach(async () => {
    replica = await TestReplica.start({
      RTC_DIRECT_INBOX_SIZE: '5000',
      RTC_DIRECT_INBOX_SENDER_PERCENT: '100',
    });
    closing.add(() => replica.end('SIGKILL'));
    path = await FaultProxy.start(replica.port);
    closing.add(() => path.stop());
  });
  afterEach(() => closing.close());

  function clientOf(options: Partial<ClientOptions> = {}): Client {
    const client = createClient({
      url: `http://127.0.0.1:${path.port}`,
      token: tokenOf('ann'),
      reconnect: { baseDelayMs: 20, maxDelayMs: 50 },
      ...options,
    });
    closing.add(() => Promise.resolve(client.close()));
    return client;
  }

  const isUp = (client: Client) => until(() => client.isConnected, 'the client is connected', 20_000);

  it('subscribes before it publishes what waits, and sends both in the order of the calls once it is connected', async () => {
    const client = clientOf();
    const early: unknown[] = [];
    const first = client.topic('first');
    const published = first.publish('early');
    first.subscribe().on('message', ({ payload }) => void early.push(payload));
    client.connect();
    await published;
    await until(() => early.length === 1, 'it is seen');
    const seen: unknown[] = [];
    const topic = client.topic('second');
    const receipts = [topic.publish('not seen')];
    topic.subscribe().on('message', ({ payload }) => void seen.push(payload));
    receipts.push(topic.publish('seen'));
    await Promise.all(receipts);
    await until(() => seen.length > 0, 'it is seen');
    assert.deepEqual(seen, ['seen']);
  });

  it('asks for one token at a time, whoever needs it', async () => {
    let asked = 0;
    const client = clientOf({
      token: async () => {
        asked++;
        await sleep(50);
        return tokenOf('ann', { jti: String(asked) });
      },
    });
    client.connect();
    await isUp(client);
    assert.equal(asked, 1);
    await Promise.all([client.refresh(), client.refresh(), client.refresh()]);
    assert.equal(asked, 2);
  });

  it('hands over in order more direct messages than it keeps, when their listener comes late', async () => {
    const bob = clientOf({ token: tokenOf('bob') }).connect();
    const client = clientOf().connect();
    await isUp(client);
    const numbers = await sendDirects(bob, 'ann', 2200);
    const given: unknown[] = [];
    client.on('direct', ({ payload }) => given.push(payload));
    await until(() => given.length >= numbers.length, 'all arrive', 20_000);
    assert.deepEqual(given, numbers);
  });

  it('gives the service the token of now when the app asks for it while a former one is on its way', async () => {
    let rights = 'former';
    const answers: (() => void)[] = [];
    const client = clientOf({
      token: () => {
        const token = tokenOf('ann', { topics: [rights] });
        return new Promise((resolve) => answers.push(() => resolve(token)));
      },
    });
    const answer = async () => {
      await until(() => answers.length > 0, 'it is asked');
      answers.shift()!();
    };
    client.connect();
    await answer();
    await isUp(client);
    const first = client.refresh();
    await until(() => answers.length > 0, 'it is asked');
    rights = 'latter';
    const second = client.refresh();
    await answer();
    await first;
    await answer();
    await second;
    await client.topic('latter').publish('allowed');
    await assert.rejects(client.topic('former').publish('not any more'), { code: 'forbidden' });
  });

  it('fetches its token anew with each connection', async () => {
    let asked = 0;
    const client = clientOf({ token: () => tokenOf('ann', { jti: String(++asked) }) });
    client.connect();
    await isUp(client);
    path.cut();
    await until(() => asked === 2 && client.isConnected, 'it is back with another token', 20_000);
  });

  it('arms its timers where something arrives, so that no chain of timers grows in a hidden tab', async () => {
    const clock = new ChainClock();
    let pongs = 0;
    let attempts = 0;
    const client = clientOf({ clock, pingEveryMs: 7, connectTimeoutMs: 4321 });
    client.on('pong', () => pongs++);
    client.on('state', ({ state }) => (attempts += state === 'waiting' ? 1 : 0));
    client.connect();
    await until(() => pongs >= 20, 'pings are answered', 20_000);
    path.state.isRefusing = true;
    path.cut();
    await until(() => attempts >= 10, 'attempts are made', 20_000);
    path.heal();
    await isUp(client);
    // The watch of the clock is a chain: it only finds out that the machine has slept.
    clock.longest.delete(5000);
    assert.ok(clock.longest.has(7) && clock.longest.has(4321));
    for (const [delayMs, chain] of clock.longest) assert.ok(chain <= 2, `${chain} timers of ${delayMs} ms`);
  });

  it('goes on when a listener throws, and one of errors throws as well', async () => {
    const reported: unknown[] = [];
    const client = clientOf();
    const { error: print } = console;
    console.error = (error) => reported.push((error as { code?: string }).code);
    closing.add(() => Promise.resolve(void (console.error = print)));
    let errors = 0;
    client.on('connect', () => {
      throw new Error('of the app');
    });
    client.on('error', () => {
      errors++;
      throw new Error('of the app, too');
    });
    client.connect();
    await isUp(client);
    await client.topic('news').publish(1);
    assert.deepEqual([errors, reported], [1, ['handler_failed']]);
  });
});
