import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { ok, request, type Json } from '../support/admin.js';
import { connectClient, emit, JsonClient, type TestAnswer } from '../support/clients.js';
import type { TestReplica } from '../support/replica.js';
import { ReplicaPair, titleOf } from '../support/replica-pair.js';
import { until } from '../support/wait.js';

for (const storage of ['redis', 'memory'] as const) {
  describe(`[TALKERS] operators, with ${titleOf(storage)}`, function () {
    this.timeout(60_000);
    let pair: ReplicaPair;
    let a: TestReplica;
    let b: TestReplica;
    let flood: NodeJS.Timeout | undefined;

    before(async () => {
      // Who goes on after many refusals is disconnected: here is looked at the refusals.
      pair = await ReplicaPair.start(storage, { RTC_LIMITS_ABUSE_REFUSALS: '0' });
      ({ a, b } = pair);
    });
    const closing: Socket[] = [];
    afterEach(() => {
      clearInterval(flood);
      for (const socket of closing.splice(0)) socket.disconnect();
      pair.disconnectAll();
    });
    after(() => pair?.stop());

    const floodFrom = (socket: Socket, topic: string) => {
      flood = setInterval(() => {
        for (let n = 0; n < 5; n++) socket.emit('publish', { topic, payload: 'x'.repeat(100) });
      }, 25);
    };
    const talkers = async (query: string): Promise<Json[]> =>
      (await ok(b, 'GET', `/talkers?${query}`))['talkers'] as Json[];

    it('see who floods, from which connection, and where to, whichever replica they ask', async () => {
      const mallory = await pair.connect(a, 'mallory');
      const ann = await pair.connect(b, 'ann');
      floodFrom(mallory, 'flooded');
      await emit(ann, 'publish', { topic: 'quiet', payload: 1 });
      await until(async () => {
        const [first] = await talkers('by=user');
        return first?.['name'] === 'mallory' && first['commands_per_sec'] > 20;
      }, 'the flood is seen');
      const [user] = await talkers('by=user&sort=bytes&limit=1');
      assert.deepEqual([user!['name'], user!['replicas']], ['mallory', ['a']]);
      assert.ok(user!['bytes_per_sec'] > 100 * user!['messages_per_sec']);
      const [connection] = await talkers('by=connection');
      assert.deepEqual([connection!['name'], connection!['user_id']], [mallory.id, 'mallory']);
      assert.equal((await talkers('by=topic&sort=messages'))[0]?.['name'], 'flooded');
      const [named] = await talkers('by=topic&name=flooded');
      assert.deepEqual([named!['name'], named!['refused_per_sec']], ['flooded', 0]);
      assert.ok(named!['messages_per_sec'] > 20);
      assert.deepEqual(await talkers('by=topic&name=nowhere'), []);
      const rates = await b.json<{ top_talkers: { topics: number[] } }>('/metrics');
      const own = await a.json<{ top_talkers: { users: number[]; topics: number[] } }>('/metrics');
      assert.ok(own.top_talkers.users[0]! > 20 && own.top_talkers.topics[0]! > 20);
      assert.ok(rates.top_talkers.topics.length <= 5);
      clearInterval(flood);
      await until(async () => (await talkers('by=user')).length === 0, 'it is over');
    });

    it('limit one user on all replicas for a time, which ends by itself and is audited', async () => {
      const clients = [await pair.connect(a, 'loud'), await pair.connect(b, 'loud')];
      const other = await pair.connect(a, 'ann');
      const many = (socket: Socket, count: number) =>
        Promise.all(Array.from({ length: count }, () => emit(socket, 'ping', { timestamp: 1 })));
      const refusals = (answers: readonly TestAnswer[]) =>
        answers.filter(({ error }) => error?.code === 'rate_limited').length;
      assert.equal(refusals(await many(clients[0]!, 30)), 0);
      const path = '/users/loud/limit';
      const { limits } = await ok(a, 'PUT', path, { commands_per_sec: 2, for_secs: 10, reason: 'flood' });
      const [limit] = limits as Json[];
      assert.deepEqual([limit!['user_id'], limit!['commands_per_sec'], limit!['by']], ['loud', 2, 'olga']);
      for (const client of clients)
        await until(async () => refusals(await many(client, 10)) >= 7, 'it is limited on each replica');
      assert.equal(refusals(await many(other, 30)), 0, 'others are not');
      const refused = await many(clients[0]!, 5);
      assert.equal(refused.find(({ error }) => error !== undefined)?.error?.limit, 2);
      const { records } = await ok(b, 'GET', '/audit?limit=1');
      assert.equal((records as Json[])[0]!['action'], 'PUT /admin/users/loud/limit');
      // It ends by itself.
      await until(async () => refusals(await many(clients[1]!, 10)) === 0, 'it has ended');
      assert.deepEqual((await ok(b, 'GET', '/user-limits'))['limits'], []);

      await ok(a, 'PUT', path, { commands_per_sec: 2 });
      await until(async () => refusals(await many(clients[1]!, 10)) > 0, 'it is limited again');
      await ok(b, 'DELETE', path, { reason: 'it is over' });
      const { records: last } = await ok(b, 'GET', '/audit?limit=1');
      assert.deepEqual((last as Json[])[0]!['request'], { reason: 'it is over' });
      await until(async () => refusals(await many(clients[0]!, 10)) === 0, 'it is free again');
      assert.equal((await request(a, 'DELETE', path)).status, 404);
      assert.equal((await request(a, 'PUT', path, { commands_per_sec: 0 })).status, 400);
    });

    it('see whose inboxes are the fullest, whichever replicas have filled and emptied them', async () => {
      const inboxes = async () => (await ok(b, 'GET', '/inboxes'))['inboxes'] as Json[];
      const sender = await pair.connect(a, 'ann');
      const other = await pair.connect(b, 'bob');
      const send = (from: Socket, to: string, count: number) =>
        Promise.all(
          Array.from({ length: count }, () => emit(from, 'direct', { to, payload: 'x', confirm: 'stored' })),
        );
      await send(sender, 'carl', 12);
      await send(other, 'carl', 3);
      await send(sender, '<b>gone</b>', 5);
      const [first, second] = await inboxes();
      assert.deepEqual([first!['user_id'], first!['messages']], ['carl', 15]);
      assert.deepEqual([second!['user_id'], second!['messages']], ['<b>gone</b>', 5]);
      assert.ok(first!['bytes'] > 15 * 20 && first!['filled_percent'] === 1.5);
      assert.equal(((await ok(a, 'GET', '/inboxes?limit=1'))['inboxes'] as Json[]).length, 1);
      const { inboxes: counted } = await a.json<{
        inboxes: { messages: { p99: number; count: number }; fullest: { messages: number }[] };
      }>('/metrics');
      assert.ok(counted.fullest[0]!.messages >= 12, 'as far as this replica has seen it');
      assert.ok(counted.messages.p99 >= 12 && counted.messages.count >= 17);
      const text = await (await fetch(`${a.url}/metrics`, { headers: { accept: 'text/plain' } })).text();
      assert.match(text, /rtc_top_inbox_filled_percent\{rank="1"\} 1\.[0-9]/);
      assert.doesNotMatch(text, /carl|<b>/);

      // The owner reads them on the other replica.
      const owner = await connectClient(b.url, 'carl', {
        listen: (socket) => socket.on('direct', (_message, acknowledge: () => void) => acknowledge()),
      });
      closing.push(owner);
      await until(async () => (await inboxes())[0]?.['user_id'] !== 'carl', 'the inbox is empty');
      await ok(b, 'DELETE', `/users/${encodeURIComponent('<b>gone</b>')}/inbox`);
      await until(async () => (await inboxes()).length === 0, 'all are empty');
      if (storage === 'memory') return;
      await until(
        async () => {
          const left = await a.json<{ inboxes: { fullest: unknown[] } }>('/metrics');
          return left.inboxes.fullest.length === 0;
        },
        'the metrics of the replica that has filled them say so',
        25_000,
      );
    });

    it('see how long a client takes to answer, on either wire, whichever replica they ask', async () => {
      const ann = await pair.connect(a, 'ann');
      const raw = new JsonClient(`${a.url.replace('http', 'ws')}/ws`, 'raw');
      try {
        await until(() => raw.of('Status').length > 0, 'the client of /ws has joined');
        const { connections } = await ok(b, 'GET', '/users/raw');
        const ofRaw = (connections as Json[])[0]!['connection_id'] as string;
        for (const id of [ann.id!, ofRaw]) {
          let measured: Json = {};
          await until(async () => {
            measured = await ok(b, 'GET', `/connections/${id}/latency`);
            return measured['round_trip_ms'] !== null;
          }, 'the client has answered');
          assert.equal(measured['replica_id'], 'a');
          assert.ok(measured['round_trip_ms'] > 0 && measured['round_trip_ms'] < 5000);
        }
        // Two at once share an answer, or follow each other.
        await until(async () => {
          const ask = () => ok(a, 'GET', `/connections/${ann.id}/latency`);
          return (await Promise.all([ask(), ask(), ask()])).every(({ round_trip_ms: time }) => time > 0);
        }, 'all are answered');
        raw.webSocket.pause();
        assert.equal((await ok(b, 'GET', `/connections/${ofRaw}/latency`))['round_trip_ms'], null);
        assert.equal((await request(b, 'GET', '/connections/nobody/latency')).status, 404);
      } finally {
        raw.webSocket.resume();
        raw.close();
      }
    });

    it('see how full an inbox is, and empty it', async () => {
      const ann = await pair.connect(a, 'ann');
      const sizeOf = (user: string) => ok(b, 'GET', `/users/${user}/inbox/size`);
      assert.deepEqual(await sizeOf('away'), { user_id: 'away', messages: 0, bytes: 0, oldest_at: null });
      const before = Date.now();
      for (let n = 0; n < 150; n++) assert.ok((await emit(ann, 'direct', { to: 'away', payload: n })).ok);
      const size = await sizeOf('away');
      assert.equal(size['messages'], 150);
      assert.ok(size['bytes'] > 150 * 50 && size['oldest_at'] >= before - 1000);
      assert.equal((await ok(a, 'DELETE', '/users/away/inbox'))['removed'], 150);
      assert.equal((await sizeOf('away'))['messages'], 0);
    });
  });
}
