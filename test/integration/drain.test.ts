import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'socket.io-client';
import WebSocket from 'ws';
import { ok, request } from '../support/admin.js';
import { Crowd } from '../support/crowd.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import { mostInASecond } from '../../bench/reload/deployed-client.js';
import { MainProcess } from '../support/main-process.js';
import { PollingClient } from '../support/polling-client.js';
import { PacketClient } from '../support/packet-client.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf, type TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

describe('[P8] a replica that is drained', function () {
  this.timeout(60_000);
  const closers: (() => unknown)[] = [];
  const closing = <Part>(part: Part, close: (part: Part) => unknown): Part => {
    closers.unshift(() => close(part));
    return part;
  };
  const start = async (windowSecs: number, environment: NodeJS.ProcessEnv = {}) => {
    const main = closing(
      await MainProcess.start({ RTC_SERVER_DRAIN_WINDOW_SECS: String(windowSecs), ...environment }),
      (process) => process.kill(),
    );
    await main.hasLogged('Listening');
    return main;
  };
  const join = async (url: string, userId: string, options: Parameters<typeof connectClient>[2] = {}) =>
    closing(await connectClient(url, userId, options), (client) => client.disconnect());
  const adminOf = ({ url }: MainProcess) => ({ url }) as TestReplica;

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  it('moves 500 clients over ten seconds: under 15 % of them in any second, each notified, none by force, exit code 0', async () => {
    const main = await start(10);
    const crowd = closing(
      await Crowd.connect(main.url, { json: 150, webSockets: 300, pollings: 50 }),
      (clients) => clients.close(),
    );
    const startedAt = performance.now();
    main.signal('SIGTERM');
    assert.equal(await main.ended(30_000), 0, main.output);
    const tookMs = performance.now() - startedAt;
    await until(() => crowd.ended === 500, 'every client knows');
    const most = mostInASecond(crowd.endedAt);
    assert.ok(most < 75, `${most} of 500 in one second`);
    assert.ok(tookMs > 8000, `it took ${tookMs} ms`);
    assert.deepEqual([...new Set(crowd.closeCodes)], [1012]);
    assert.deepEqual([...new Set(crowd.reasons)], ['transport close']);
    assert.equal(crowd.notified, 500);
    const [drained] = main.logged('Drained');
    assert.deepEqual([drained?.['moved'], drained?.['forced']], [500, 0], main.output);
  });

  it('moves a client of long-polling that always has messages waiting, behind all of them', async () => {
    const main = await start(2);
    const client = await PollingClient.open(main.url);
    await client.post(`40${JSON.stringify({ token: tokenOf('bob') })}`);
    await client.pollUntil((packets) => packets.some((packet) => packet.includes('connected')));
    await client.post('420["subscribe",{"topics":["busy"]}]');
    await client.pollUntil((packets) => packets.some((packet) => packet.startsWith('430')));
    const headers = { authorization: `Bearer ${tokenOf('ann')}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ topic: 'busy', payload: 1 });
    let isOver = false;
    const publish = async () => {
      while (!isOver) await fetch(`${main.url}/api/publish`, { method: 'POST', headers, body });
    };
    const publishing = Promise.all(Array.from({ length: 8 }, publish)).catch(() => {});
    const packets: string[] = [];
    const pollUntil = async (isEnough: () => boolean) => {
      while (!isEnough()) {
        // A distant client takes a while between two polls.
        await sleep(150);
        packets.push(...(await client.poll()));
      }
    };
    await pollUntil(() => packets.length > 50);
    main.signal('SIGTERM');
    await pollUntil(() => packets.includes('1'));
    isOver = true;
    await publishing;
    assert.equal(await main.ended(30_000), 0, main.output);
    const [drained] = main.logged('Drained');
    assert.deepEqual([drained?.['moved'], drained?.['forced']], [1, 0], main.output);
    // Not when its time is over: two seconds behind the window, when those that are left are cut off.
    assert.ok(Number(drained?.['took_ms']) < 4000, main.output);
    assert.equal(packets.indexOf('1'), packets.length - 1, 'the close packet is the last one');
    const sequences = packets.flatMap(
      (packet) => /^42\["message",.*"sequence":(\d+)/.exec(packet)?.[1] ?? [],
    );
    assert.deepEqual(
      sequences.map(Number),
      Array.from({ length: sequences.length }, (_, n) => n + 1),
    );
    assert.ok(sequences.length > 50, `${sequences.length} messages`);
  });

  it('says so everywhere, and refuses new clients with 503 and Retry-After', async () => {
    const main = await start(6);
    const client = await join(main.url, 'ann');
    const notice = new Promise<Record<string, unknown>>((resolve) =>
      client.on('status', ({ status, details }: { status: string; details: Record<string, unknown> }) => {
        if (status === 'draining') resolve(details);
      }),
    );
    main.signal('SIGTERM');
    await main.hasLogged('Draining');
    const health = await fetch(`${main.url}/health`).then(
      (response) => response.json() as Promise<Record<string, unknown>>,
    );
    assert.deepEqual([health['phase'], health['drain']], ['draining', { moved: 0, forced: 0, remaining: 1 }]);
    assert.match(String((health['problems'] as string[])[0]), /clients are moved to other replicas/);
    const ready = await fetch(`${main.url}/health/ready`);
    assert.deepEqual([ready.status, ready.headers.get('retry-after')], [503, '1']);
    const polling = await fetch(`${main.url}/socket.io/?EIO=4&transport=polling`);
    assert.deepEqual([polling.status, polling.headers.get('retry-after')], [503, '1']);
    assert.match(await polling.text(), /"code":"shutting_down"/);
    for (const path of [`/ws?token=${tokenOf('bob')}`, '/socket.io/?EIO=4&transport=websocket'])
      assert.deepEqual(await refusalOf(main.url + path), { status: 503, retryAfter: '1' }, path);
    // What is connected is served as before.
    assert.equal((await emit(client, 'publish', { topic: 't', payload: 1 })).ok, true);
    const { replicas } = await ok(adminOf(main), 'GET', '/replicas');
    const [{ phase, drain }] = replicas as [{ phase: string; drain: object }];
    assert.deepEqual([phase, drain], ['draining', { moved: 0, forced: 0, remaining: 1 }]);
    const metrics = await fetch(`${main.url}/metrics`, { headers: { accept: 'text/plain' } });
    assert.match(await metrics.text(), /^rtc_draining 1$/m);
    const { closes_in_ms: closesInMs, reason } = await notice;
    assert.ok(Number(closesInMs) <= 1000 && String(reason).length > 0);
  });

  it('takes clients while load balancers are given time to notice', async () => {
    const main = await start(1, { RTC_SERVER_DRAIN_DELAY_SECS: '2' });
    const before = await join(main.url, 'before');
    main.signal('SIGTERM');
    await main.hasLogged('Draining');
    assert.equal((await fetch(`${main.url}/health/ready`)).status, 503);
    const meanwhile = await join(main.url, 'meanwhile');
    assert.ok(before.connected && meanwhile.connected);
    assert.equal(await main.ended(), 0, main.output);
    assert.equal(main.logged('Drained')[0]?.['moved'], 2);
  });

  for (const transport of ['websocket', 'polling'] as const)
    it(`answers every publish that it has stored before it closes: ${transport}`, async () => {
      const redis = closing(await TestRedis.start(), (server) => server.stop());
      const main = await start(2, { REDIS_URL: redis.url });
      const other = await start(0, { REDIS_URL: redis.url });
      const client = await join(main.url, 'ann', { transports: [transport] });
      setTimeout(() => main.signal('SIGTERM'), 300);
      const { acknowledged, codes, sent } = await publishUntilClosed(client);
      assert.equal(await main.ended(), 0, main.output);
      assert.equal(main.logged('Drained')[0]?.['moved'], 1, main.output);
      const stored = await storedIn(other.url);
      assert.ok(acknowledged.length > 20, `${acknowledged.length} of ${sent} acknowledged`);
      assert.deepEqual(stored, acknowledged);
      assert.deepEqual(
        [...codes].filter((code) => code !== 'shutting_down'),
        [],
      );
    });

  it('answers every publish that it has stored before it closes: /ws', async () => {
    const redis = closing(await TestRedis.start(), (server) => server.stop());
    const main = await start(2, { REDIS_URL: redis.url });
    const other = await start(0, { REDIS_URL: redis.url });
    const client = closing(new JsonClient(`${main.url.replace('http', 'ws')}/ws`, 'ann'), (json) =>
      json.close(),
    );
    await until(() => client.of('Status').length > 0, 'it is connected');
    let sent = 0;
    const timer = setInterval(() => {
      if (client.webSocket.readyState !== WebSocket.OPEN) return;
      client.send({ type: 'Broadcast', id: ++sent, data: { topic: 't', payload: sent } });
    }, 2);
    const ended = new Promise<string>((resolve) =>
      client.webSocket.on('close', (code, text) => resolve(`${code} ${text.toString()}`)),
    );
    // Its turn comes at any moment of the window, also at once.
    await until(() => client.of('Ack').length > 20, 'it publishes');
    main.signal('SIGTERM');
    assert.equal(await ended, '1012 the replica is draining: connect again now');
    clearInterval(timer);
    assert.equal(await main.ended(), 0, main.output);
    const acknowledged = client.of('Ack').map(({ id }) => Number(id));
    assert.ok(acknowledged.length > 20);
    assert.deepEqual(await storedIn(other.url), acknowledged);
    assert.ok(client.of('Status').some(({ data }) => data['status'] === 'draining'));
  });

  it('answers a publisher that waits for confirmations with what is known', async () => {
    const main = await start(1);
    const deaf = await join(main.url, 'deaf');
    await emit(deaf, 'subscribe', { topics: ['t'] });
    const publisher = await join(main.url, 'pub');
    const answers = [
      emit(publisher, 'publish', { topic: 't', payload: 1, confirm: 'delivered', timeout_ms: 60_000 }),
      emit(publisher, 'direct', { to: 'deaf', payload: 1, confirm: 'delivered', timeout_ms: 60_000 }),
    ];
    await new Promise((resolve) => deaf.once('direct', resolve));
    main.signal('SIGTERM');
    const [published, direct] = await Promise.all(answers);
    assert.deepEqual([published!.ok, published!['delivered']], [true, 0]);
    assert.deepEqual([direct!.ok, direct!['delivered']], [true, 0]);
    assert.equal(await main.ended(), 0, main.output);
  });

  it('is drained through another replica, which audits it; SIGTERM meanwhile is no second signal', async () => {
    const redis = closing(await TestRedis.start(), (server) => server.stop());
    const environment = { REDIS_URL: redis.url };
    const a = await start(3, { ...environment, RTC_SERVER_REPLICA_ID: 'a' });
    const b = await start(3, { ...environment, RTC_SERVER_REPLICA_ID: 'b' });
    const client = await join(a.url, 'ann');
    const lost = new Promise<string>((resolve) => client.once('disconnect', resolve));
    await until(
      async () => (await ok(adminOf(b), 'GET', '/replicas'))['replicas'].length === 2,
      'both are known',
    );
    const viewer = tokenOf('vera', { roles: ['operator'] });
    assert.equal((await request(adminOf(b), 'POST', '/replicas/a/drain', {}, viewer)).status, 403);
    assert.equal((await request(adminOf(b), 'POST', '/replicas/c/drain')).status, 404);
    assert.deepEqual(await ok(adminOf(b), 'POST', '/replicas/a/drain'), {
      replica_id: 'a',
      already_draining: false,
      clients: 1,
      ends_within_secs: 13,
    });
    await a.hasLogged('Draining');
    assert.equal((await ok(adminOf(b), 'POST', '/replicas/a/drain'))['already_draining'], true);
    a.signal('SIGTERM');
    assert.equal(await lost, 'transport close');
    assert.equal(await a.ended(), 0, a.output);
    assert.equal(a.logged('Draining').length, 1);
    assert.deepEqual(a.logged('Ended by force'), []);
    assert.equal(b.hasEnded, false);
    const { records } = await ok(adminOf(b), 'GET', '/audit');
    const drains = (records as { action: string; result: string }[]).filter(({ action }) =>
      action.endsWith('/a/drain'),
    );
    assert.deepEqual(
      drains.map(({ result }) => result),
      ['ok', 'ok', 'forbidden'],
    );
  });

  it('cuts off a client that ignores its close, says so, and ends with 0', async () => {
    const main = await start(1);
    const deaf = closing(await PacketClient.open(main.url), (client) => client.close());
    await deaf.join('deaf');
    deaf.stall();
    const client = await join(main.url, 'ann');
    main.signal('SIGTERM');
    assert.equal(await main.ended(), 0, main.output);
    assert.ok(!client.connected);
    const [line] = main.logged('Drained');
    assert.deepEqual([line?.['moved'], line?.['forced']], [1, 1], main.output);
  });

  it('ends by force at a second signal, and says how many clients were left', async () => {
    const main = await start(60);
    for (let n = 0; n < 5; n++) await join(main.url, `user-${n}`);
    main.signal('SIGTERM');
    await main.hasLogged('Draining');
    // At the same time as the first it would count as the same request.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    main.signal('SIGTERM');
    assert.equal(await main.ended(), 3, main.output);
    const [line] = main.logged('Ended by force');
    assert.equal(Number(line?.['moved']) + Number(line?.['remaining']), 5, JSON.stringify(line));
  });

  it('is drained while Redis is away: its clients are moved, and it ends in time', async () => {
    const redis = closing(await TestRedis.start(), (server) => server.stop());
    const main = await start(2, { REDIS_URL: redis.url, RTC_SERVER_SHUTDOWN_TIMEOUT_MS: '6000' });
    const client = await join(main.url, 'ann');
    await emit(client, 'subscribe', { topics: ['t'] });
    const lost = new Promise<string>((resolve) => client.once('disconnect', resolve));
    await redis.signal('SIGKILL');
    await until(async () => (await fetch(`${main.url}/health/ready`)).status === 503, 'it has noticed');
    const { replicas } = await ok(adminOf(main), 'GET', '/replicas');
    const [{ replica_id: id }] = replicas as [{ replica_id: string }];
    assert.equal((await ok(adminOf(main), 'POST', `/replicas/${id}/drain`))['clients'], 1);
    assert.equal(await lost, 'transport close');
    const code = await main.ended();
    assert.equal(main.logged('Drained')[0]?.['moved'], 1, main.output);
    const forced = [...main.logged('Stopped by force'), ...main.logged('Ended by force')];
    assert.equal(code, forced.length === 0 ? 0 : 3, main.output);
  });
});

/** Publishes numbers until the transport closes. */
async function publishUntilClosed(client: Socket) {
  const acknowledged: number[] = [];
  const codes = new Set<string>();
  let sent = 0;
  const timer = setInterval(() => {
    if (!client.connected) return;
    const n = ++sent;
    client.emit('publish', { topic: 't', payload: n }, (answer: TestAnswer) => {
      if (answer.ok) acknowledged.push(n);
      else codes.add(answer.error!.code);
    });
  }, 2);
  await new Promise((resolve) => client.once('disconnect', resolve));
  clearInterval(timer);
  return { acknowledged, codes, sent };
}

/** The payloads of the topic, in their order. */
async function storedIn(url: string): Promise<number[]> {
  const reader = await connectClient(url, 'reader');
  const stored: number[] = [];
  try {
    // Page by page, backwards.
    for (let before: unknown; ;) {
      const page = await emit(reader, 'history', {
        topic: 't',
        limit: 1000,
        ...(before !== undefined && { before }),
      });
      stored.unshift(...(page['messages'] as { payload: number }[]).map(({ payload }) => payload));
      const next = page['next'] as { before?: unknown } | undefined;
      if (next?.before === undefined) return stored;
      ({ before } = next);
    }
  } finally {
    reader.disconnect();
  }
}

function refusalOf(url: string): Promise<{ status: number | undefined; retryAfter: unknown }> {
  const webSocket = new WebSocket(url.replace('http', 'ws'));
  return new Promise((resolve, reject) => {
    webSocket.on('error', () => {});
    webSocket.on('open', () => reject(new Error('it was let in')));
    webSocket.on('unexpected-response', (_request, response) => {
      resolve({ status: response.statusCode, retryAfter: response.headers['retry-after'] });
      response.resume();
    });
  });
}
