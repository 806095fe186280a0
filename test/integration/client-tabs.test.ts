import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type Client, type ClientOptions, type ConnectionFactory } from '../../client/index.js';
import { TabConnection } from '../../client/tabs/tab-connection.js';
import { seededRandom } from '../../bench/seeded-random.js';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { sendDirects } from '../support/client-rig.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { FakeOrigin, type FakePage } from '../support/tab-pages.js';
import { until } from '../support/wait.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

interface Tab {
  readonly page: FakePage;
  readonly client: Client;
  readonly list: unknown[];
  readonly gaps: unknown[];
}

describe(`[CLIENT] tabs that share a connection (SEED=${seed})`, function () {
  this.timeout(60_000);
  const closing = new Closing();
  let replica: TestReplica;
  let path: FaultProxy;
  let origin: FakeOrigin;
  let errors: string[];

  beforeEach(async () => {
    replica = await TestReplica.start({
      RTC_AUTH_TOKEN_NOTICE_SECS: '3600',
      RTC_DIRECT_INBOX_SIZE: '5000',
      RTC_DIRECT_INBOX_SENDER_PERCENT: '100',
    });
    closing.add(() => replica.end('SIGKILL'));
    path = await FaultProxy.start(replica.port);
    closing.add(() => path.stop());
    origin = new FakeOrigin();
    errors = [];
  });
  afterEach(() => closing.close());

  function open(options: Partial<ClientOptions> = {}, topic = 'news'): Tab {
    const page = origin.page();
    const client = createClient({
      url: `http://127.0.0.1:${path.port}`,
      token: tokenOf('ann'),
      reconnect: { baseDelayMs: 20, maxDelayMs: 200 },
      probeTimeoutMs: 300,
      connection: (dependencies, settings) => new TabConnection(dependencies, settings, page, ''),
      ...options,
    });
    client.on('error', ({ code }) => errors.push(code));
    closing.add(() => Promise.resolve(client.close()));
    const tab: Tab = { page, client, list: [], gaps: [] };
    const subscription = client.topic(topic).subscribe();
    subscription.on('message', ({ payload }) => tab.list.push(payload));
    subscription.on('gap', (gap) => tab.gaps.push(gap));
    client.connect();
    return tab;
  }

  const areConnected = (...tabs: Tab[]) =>
    until(() => tabs.every(({ client }) => client.isConnected), 'all tabs are connected', 20_000);
  const isSubscribed = async (...tabs: Tab[]) => {
    await areConnected(...tabs);
    // The answer of a later command of the same tab comes after that of the subscription.
    await Promise.all(tabs.map(({ client }) => client.topic('news').history({ limit: 1 })));
  };
  const connections = async () =>
    (await replica.json<{ active_connections: number }>('/metrics')).active_connections;
  const haveAll = (expected: unknown[], ...tabs: Tab[]) =>
    until(() => tabs.every(({ list }) => list.length >= expected.length), 'all arrives', 20_000).then(() =>
      tabs.forEach(({ list, gaps }) => assert.deepEqual([list, gaps], [expected, []])),
    );

  it('have one, and each gets every message, once and in order', async () => {
    const tabs = [open(), open(), open(), open(), open()];
    await isSubscribed(...tabs);
    assert.equal(await connections(), 1);
    await Promise.all(tabs.map(({ client }, i) => client.topic('news').publish(i)));
    await until(() => tabs.every(({ list }) => list.length === 5), 'all arrives');
    for (const { list } of tabs) assert.deepEqual(list, tabs[0]!.list);
  });

  it('lose nothing when the one that holds the connection closes, or ends without a word', async () => {
    const tabs = [open(), open(), open(), open()];
    await isSubscribed(...tabs);
    await tabs[0]!.client.topic('news').publish(1);
    // What a tab publishes by way of another one that goes is published by way of the next.
    const second = tabs[1]!.client.topic('news').publish(2);
    tabs[0]!.client.close();
    await second;
    await haveAll([1, 2], ...tabs.slice(1));
    tabs[1]!.page.crash();
    await tabs[2]!.client.topic('news').publish(3);
    await haveAll([1, 2, 3], ...tabs.slice(2));
    tabs[1]!.client.close();
    await until(async () => (await connections()) === 1, 'one connection');
  });

  it('take the place of one that the browser has stopped, and it follows when it goes on', async () => {
    const tabs = [open(), open(), open()];
    await isSubscribed(...tabs);
    tabs[0]!.page.freeze();
    const receipt = tabs[1]!.client.topic('news').publish(1);
    for (const { client } of tabs.slice(1)) client['wire'].probe();
    await receipt;
    await haveAll([1], ...tabs.slice(1));
    tabs[0]!.page.thaw();
    // Without a later message, which would show that one is missing.
    await haveAll([1], ...tabs);
    await tabs[2]!.client.topic('news').publish(2);
    await haveAll([1, 2], ...tabs);
    await until(async () => (await connections()) === 1, 'one connection');
  });

  it('are told when the network is lost, and go on after it', async () => {
    const tabs = [open(), open()];
    await isSubscribed(...tabs);
    const other = createClient({ url: replica.url, token: tokenOf('bob') }).connect();
    closing.add(() => Promise.resolve(other.close()));
    path.state.isRefusing = true;
    path.cut();
    await until(() => tabs.every(({ client }) => !client.isConnected), 'all know');
    for (let n = 1; n <= 3; n++) await other.topic('news').publish(n);
    path.heal();
    // Without a later message, which would show that some are missing.
    await haveAll([1, 2, 3], ...tabs);
    path.state.isRefusing = true;
    path.cut();
    await until(() => tabs.every(({ client }) => !client.isConnected), 'all know');
    const queued = tabs[1]!.client.topic('news').publish('queued');
    path.heal();
    await queued;
    await haveAll([1, 2, 3, 'queued'], ...tabs);
    await until(async () => (await connections()) === 2, 'the connection that was cut has gone');
  });

  it('do not share with another user, with other rights, or with a token that cannot be read', async () => {
    const tabs = [
      open(),
      open({ token: tokenOf('bob') }),
      open({ token: tokenOf('ann', { topics: ['news'] }) }),
      open({ token: tokenOf('ann', { jti: 'another token of the same rights' }) }),
    ];
    await isSubscribed(...tabs);
    assert.equal(await connections(), 3);
    await assert.rejects(tabs[0]!.client.request('refresh', { token: tokenOf('bob') }), {
      code: 'forbidden',
      field: 'token',
    });
    const stranger = open({ token: 'not a JWT' });
    await until(() => stranger.client.state.state === 'stopped', 'it is refused');
    assert.equal(stranger.client.state.error?.code, 'auth_failed');
    await areConnected(...tabs);
  });

  it('ask one of them for a token when it expires, and another one when that has none', async () => {
    const asked: string[] = [];
    const tokenFor = (tab: string) => (reason: string) => {
      asked.push(`${tab} ${reason}`);
      if (tab === 'a' && reason === 'expiring') throw new Error('signed out');
      return tokenOf('ann', { jti: `${asked.length}` });
    };
    const first = open({ token: tokenFor('a') });
    await areConnected(first);
    await until(() => asked.includes('a expiring'), 'the first tab is asked');
    const second = open({ token: tokenFor('b') });
    await until(() => asked.includes('b expiring'), 'the second tab is asked', 20_000);
    assert.ok(errors.includes('token_failed'));
    await isSubscribed(first, second);
    assert.deepEqual(
      asked.filter((one) => one.endsWith('connect')),
      ['a connect', 'b connect'],
    );
  });

  it('ask another one for a token when the first one does not answer', async () => {
    let isHanging = false;
    const never = new Promise<string>(() => {});
    const first = open({ token: () => (isHanging ? never : tokenOf('ann')) });
    await areConnected(first);
    const second = open();
    await areConnected(second);
    isHanging = true;
    path.cut();
    await until(() => !first.client.isConnected && !second.client.isConnected, 'both know');
    await areConnected(first, second);
  });

  it('never belong to a user whose token comes after another one has signed in', async () => {
    const gives: ((token: string) => void)[] = [];
    const isAsked = (times: number) => until(() => gives.length === times, `asked ${times} times`);
    const tab = open({ token: () => new Promise((give) => gives.push(give)) });
    await isAsked(1);
    tab.client.disconnect();
    tab.client.connect();
    gives[0]!(tokenOf('ann'));
    await isAsked(2);
    gives[1]!(tokenOf('bob'));
    await isSubscribed(tab);
    const users = async () => (await tab.client.topic('news').presence()).users.map((one) => one.user_id);
    assert.deepEqual(await users(), ['bob']);
    // The service says that the token expires.
    await isAsked(3);
    tab.client.disconnect();
    tab.client.connect();
    await isAsked(4);
    gives[3]!(tokenOf('carl'));
    await isSubscribed(tab);
    gives[2]!(tokenOf('bob'));
    await isAsked(5);
    gives[4]!(tokenOf('carl', { jti: 'the next one' }));
    assert.deepEqual(await users(), ['carl']);
  });

  it('ask for a token again when the page was hidden before they were connected: another user may have signed in', async () => {
    const events = new EventTarget();
    const globals = globalThis as { addEventListener?: unknown };
    globals.addEventListener = events.addEventListener.bind(events);
    closing.add(() => Promise.resolve(void delete globals.addEventListener));
    const page = origin.page();
    const { request } = page.locks;
    let isJoining = false;
    page.locks.request = () => {
      isJoining = true;
      return new Promise(() => {});
    };
    let user = 'ann';
    const connection: ConnectionFactory = (...given) => new TabConnection(...given, page, '');
    const tab = open({ connection, token: () => tokenOf(user) });
    await until(() => isJoining, 'it has a token');
    page.locks.request = request;
    user = 'bob';
    for (const type of ['pagehide', 'pageshow']) events.dispatchEvent(new Event(type));
    await isSubscribed(tab);
    const { users } = await tab.client.topic('news').presence();
    assert.deepEqual(
      users.map((one) => one.user_id),
      ['bob'],
    );
  });

  it('have each a connection of their own on a page that may have no locks', async () => {
    const page = origin.page();
    page.locks.request = () => Promise.reject(new Error('SecurityError'));
    const connection: ConnectionFactory = (...given) => new TabConnection(...given, page, '');
    const tabs = [open({ connection }), open({ connection })];
    await isSubscribed(...tabs);
    assert.equal(await connections(), 2);
    await tabs[0]!.client.topic('news').publish(1);
    await haveAll([1], ...tabs);
  });

  it('join another group when the user has changed', async () => {
    const publisher = createClient({ url: replica.url, token: tokenOf('carl') }).connect();
    closing.add(() => Promise.resolve(publisher.close()));
    let user = 'ann';
    const tab = open({ token: () => tokenOf(user) });
    const other = open();
    await areConnected(tab, other);
    user = 'bob';
    path.cut();
    await until(
      async () => {
        const { users } = await publisher.topic('news').presence();
        return users.map(({ user_id: id }) => id).join() === 'ann,bob';
      },
      'bob is connected',
      20_000,
    );
    assert.equal(await connections(), 3);
  });

  it('hand over in order more direct messages than they keep, when their listener comes late', async () => {
    const bob = createClient({ url: replica.url, token: tokenOf('bob') }).connect();
    closing.add(() => Promise.resolve(bob.close()));
    const tab = open();
    await areConnected(tab);
    const numbers = await sendDirects(bob, 'ann', 2200);
    const given: unknown[] = [];
    tab.client.on('direct', ({ payload }) => given.push(payload));
    await until(() => given.length >= numbers.length, 'all arrive', 30_000);
    assert.deepEqual(given, numbers);
    assert.deepEqual(errors, []);
  });

  it('give a direct message to each tab that is open, also to one that opens later, until it is read', async () => {
    const first = open();
    await areConnected(first);
    const bob = createClient({ url: replica.url, token: tokenOf('bob') }).connect();
    closing.add(() => Promise.resolve(bob.close()));
    await bob.direct('ann', 'hi', { confirm: 'stored' });
    const second = open();
    const received = new Promise((resolve) => second.client.on('direct', ({ payload }) => resolve(payload)));
    assert.equal(await received, 'hi');
    const receipt = await bob.direct('ann', 'again');
    assert.equal(receipt.delivered, 1);
  });

  it('lose nothing while tabs open, close, crash and stop at random, and the network is cut', async () => {
    const random = seededRandom(seed);
    const publisher = createClient({ url: replica.url, token: tokenOf('publisher') }).connect();
    closing.add(() => Promise.resolve(publisher.close()));
    let tabs = [open(), open(), open()];
    const whole = [...tabs];
    await isSubscribed(...tabs);
    const receipts: Promise<boolean>[] = [];
    let frozen: Tab | undefined;
    for (let n = 1; n <= 60; n++) {
      const by = random(2) === 0 ? publisher : tabs[random(tabs.length)]!.client;
      const receipt = by.topic('news').publish(n);
      receipts.push(
        receipt.then(
          () => true,
          () => false,
        ),
      );
      const what = random(8);
      const tab = tabs[random(tabs.length)]!;
      if (what === 0 && tabs.length < 6) tabs.push(open());
      else if (what === 1 && tabs.length > 2) {
        tabs = tabs.filter((one) => one !== tab);
        tab.client.close();
      } else if (what === 2 && tabs.length > 2) {
        tabs = tabs.filter((one) => one !== tab);
        tab.page.crash();
        tab.client.close();
      } else if (what === 3) path.cut();
      else if (what === 4) {
        frozen?.page.thaw();
        frozen = tab;
        tab.page.freeze();
      }
      await sleep(random(30));
    }
    frozen?.page.thaw();
    const results = await Promise.all(receipts);
    await publisher.topic('news').publish('end');
    const { messages } = await publisher.topic('news').history({ limit: 1000 });
    const log = messages.map(({ payload }) => payload);
    // What a closed tab has published may be stored or not, but not twice.
    assert.equal(new Set(log).size, log.length);
    results.forEach((isStored, i) => assert.ok(!isStored || log.includes(i + 1), `${i + 1} is stored`));
    await until(() => tabs.every(({ list }) => list.at(-1) === 'end'), 'the end arrives', 30_000);
    for (const tab of tabs) {
      assert.deepEqual(tab.gaps, []);
      const begin = whole.includes(tab) ? 0 : log.indexOf(tab.list[0]);
      assert.deepEqual(tab.list, log.slice(begin));
    }
    await until(async () => (await connections()) === 2, 'one connection, and the publisher');
  });
});
