import assert from 'node:assert/strict';
import { ok, type Json } from '../support/admin.js';
import { connectClient, emit } from '../support/clients.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica } from '../support/replica.js';
import { until } from '../support/wait.js';

const sessionsMax = 10;
const rounds = 40;

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[S5.2] sessions of one user, with ${storage}`, function () {
    this.timeout(60_000);
    let redis: TestRedis | undefined;
    let replicas: TestReplica[] = [];

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
      const env = {
        ...(redis && { REDIS_URL: redis.url }),
        RTC_SESSIONS_MAX_PER_USER: String(sessionsMax),
      };
      replicas = await Promise.all(
        Array.from({ length: redis === undefined ? 1 : 2 }, () => TestReplica.start(env)),
      );
    });
    after(async () => {
      await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
      await redis?.stop();
    });

    const urlOf = (n: number) => replicas[n % replicas.length]!.url;
    /** Connects, subscribes, leaves. Resolves to the id of the session that stays. */
    const visit = async (userId: string, n: number, topics: readonly string[]): Promise<string> => {
      const socket = await connectClient(urlOf(n), userId);
      assert.equal((await emit(socket, 'subscribe', { topics })).ok, true);
      socket.disconnect();
      return socket.status['session_id'] as string;
    };
    const resume = async (userId: string, sessionId: string, n: number) => {
      const socket = await connectClient(urlOf(n), userId, { auth: { session_id: sessionId } });
      const { recovered } = socket.status;
      socket.disconnect();
      return recovered;
    };
    const storedOf = async (userId: string): Promise<string[]> => {
      const ids = new Set<string>();
      // Pages have a limit of bytes.
      for (let cursor: unknown = ''; cursor !== null;) {
        const page = await ok(
          replicas[0]!,
          'GET',
          `/sessions?user_id=${userId}&limit=1000&cursor=${String(cursor)}`,
        );
        for (const { id } of page['sessions'] as Json[]) ids.add(id as string);
        ({ cursor } = page);
      }
      return [...ids];
    };
    const dropped = async () => {
      let sum = 0;
      for (const replica of replicas)
        sum += ((await replica.json<Json>('/metrics'))['quota_refusals'] as Json)['user_sessions'] as number;
      return sum;
    };

    it('stay bounded if one user connects over and over, and cost nobody else a session', async () => {
      const bob = await visit('bob', 0, ['news']);
      const live = await connectClient(urlOf(1), 'mallory');
      const liveId = live.status['session_id'] as string;
      const visits: string[] = [];
      for (let n = 0; n < rounds; n++) {
        const topics = Array.from({ length: 100 }, (_, i) => `${n}.${i}.`.padEnd(190, 'y'));
        visits.push(await visit('mallory', n, topics));
      }
      await until(async () => (await dropped()) === rounds - sessionsMax, 'the oldest are dropped');
      const left = await storedOf('mallory');
      assert.equal(left.length, sessionsMax + 1);
      assert.ok(left.includes(liveId));
      const newest = visits.findLast((id) => left.includes(id))!;
      // This one begins a new session, which takes the place of the oldest.
      assert.equal(await resume('mallory', visits[0]!, 0), false);
      assert.equal(await resume('mallory', newest, 1), true);
      assert.equal(await resume('bob', bob, 1), true);
      live.disconnect();
    });

    it('are all there up to the limit, for clients that share a user id', async () => {
      const guests = await Promise.all(
        Array.from({ length: sessionsMax }, (_, n) => connectClient(urlOf(n), 'guest')),
      );
      for (const guest of guests)
        assert.equal((await emit(guest, 'subscribe', { topics: ['chat'] })).ok, true);
      for (const guest of guests) guest.disconnect();
      for (const [n, guest] of guests.entries()) {
        const sessionId = guest.status['session_id'] as string;
        await until(async () => (await storedOf('guest')).includes(sessionId), 'the session is stored');
        assert.equal(await resume('guest', sessionId, n + 1), true);
      }
    });
  });
}
