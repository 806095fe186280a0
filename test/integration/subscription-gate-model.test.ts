import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { RefusalError } from '../../server/index.js';
import { readPosition, unknownPosition } from '../../server/topics/start-position.js';
import { connectClient, emit, type TestAnswer } from '../support/clients.js';
import { startEmbedded, type EmbeddedService } from '../support/embedded-service.js';
import { TestRedis } from '../support/redis.js';
import { tokenOf } from '../support/replica.js';
import {
  allows,
  isRefusedByHook,
  permissionRules,
  SubscriptionModel,
  type Role,
} from '../support/subscription-model.js';
import { until } from '../support/wait.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const limit = 4;

const topic = fc.constantFrom('a.1', 'a.2', 'a.3', 'a.no', 'b.1', 'b.2', 'b.3', 'c.1', 'c.2', 'c.3', 'c.no');
const roles = fc.uniqueArray(fc.constantFrom<Role>('reader', 'live', 'other'), { maxLength: 3 });
/** Positions that a client may send, most of them impossible. */
const position = fc.constantFrom<unknown>(
  undefined,
  null,
  -1,
  'now',
  { epoch: 'x', sequence: 0 },
  { epoch: 'x', sequence: -1 },
  { epoch: 'x', sequence: 0.5 },
  { epoch: 'x', sequence: 1e308 },
  { epoch: 'x', sequence: Number.MAX_SAFE_INTEGER },
  { epoch: 5, sequence: '5' },
  { epoch: '', sequence: 0 },
  [],
);
const topics = fc.uniqueArray(topic, { minLength: 1, maxLength: 5 });
const subscribe = fc.record({
  kind: fc.constant('subscribe' as const),
  topics,
  presence: fc.boolean(),
  since: fc.dictionary(topic, position, { maxKeys: 3 }),
});
const unsubscribe = fc.record({ kind: fc.constant('unsubscribe' as const), topics });
const refresh = fc.record({ kind: fc.constant('refresh' as const), roles });
const resume = fc.record({
  kind: fc.constant('resume' as const),
  roles,
  positions: fc.dictionary(topic, position, { maxKeys: 6 }),
});
const mode = fc.record({
  kind: fc.constant('mode' as const),
  mode: fc.constantFrom('normal' as const, 'maintenance' as const, 'read_only' as const),
});
const command = fc.oneof(
  { weight: 4, arbitrary: subscribe },
  { weight: 2, arbitrary: unsubscribe },
  { weight: 2, arbitrary: refresh },
);
type Command = typeof command extends fc.Arbitrary<infer One> ? One : never;
const step = fc.oneof(
  { weight: 6, arbitrary: command },
  { weight: 2, arbitrary: resume },
  { weight: 1, arbitrary: mode },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      commands: fc.array(command, { minLength: 2, maxLength: 5 }),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;
type Client = Awaited<ReturnType<typeof connectClient>>;
/** The code by which each topic was rejected. */
function rejectedIn(answer: TestAnswer): ReadonlyMap<string, string> {
  const list = answer['rejected'] as { topic: string; error: { code: string } }[];
  return new Map(list.map(({ topic: name, error }) => [name, error.code]));
}

/** One client that takes random steps, and what the model says of it. */
class RandomClient {
  readonly model: SubscriptionModel;
  private client!: Client;
  private mode = 'normal';

  constructor(
    private readonly service: EmbeddedService,
    private readonly user: string,
    initial: readonly Role[],
  ) {
    this.model = new SubscriptionModel(initial, limit);
  }

  async connect(auth: object = {}): Promise<void> {
    this.client = await connectClient(this.service.url, this.user, {
      auth: { token: tokenOf(this.user, { roles: this.model.roles }), ...auth },
    });
  }

  async take(next: Step): Promise<void> {
    switch (next.kind) {
      case 'mode':
        await this.setMode(next.mode);
        break;
      case 'resume':
        // In maintenance, topics are awaited for seconds: another test waits for them.
        if (this.mode !== 'maintenance') await this.resume(next.roles, next.positions);
        break;
      case 'burst':
        await this.burst(next.commands);
        break;
      default:
        await this.one(next);
    }
    this.compare();
  }

  async end(): Promise<void> {
    await this.setMode('normal');
    this.client.disconnect();
  }

  private async one(next: Command): Promise<void> {
    const answer = await this.send(next);
    if (next.kind === 'refresh') {
      this.model.refresh(next.roles);
      return;
    }
    if (next.kind === 'unsubscribe') {
      const left = next.topics.filter((name) => this.model.unsubscribe(name));
      assert.deepEqual(answer['topics'], left);
      return;
    }
    if (this.mode === 'maintenance') {
      assert.equal(answer.error?.code, 'read_only');
      return;
    }
    const rejected = rejectedIn(answer);
    assert.deepEqual(
      next.topics.map((name) => rejected.get(name)),
      this.model.subscribe(next.topics, next.presence),
    );
  }

  /** Commands sent at once: the last word on each topic counts. */
  private async burst(commands: readonly Command[]): Promise<void> {
    const answers = await Promise.all(commands.map((next) => this.send(next)));
    commands.forEach((next, i) => {
      const answer = answers[i]!;
      if (next.kind === 'refresh') this.model.refresh(next.roles);
      else if (next.kind === 'unsubscribe') for (const name of next.topics) this.model.unsubscribe(name);
      else if (!answer.ok) assert.equal(answer.error?.code, 'read_only');
      else {
        // Which of them came first at the limit, and what a hook delayed, is not certain.
        const rejected = rejectedIn(answer);
        for (const name of next.topics) {
          const code = rejected.get(name);
          if (code === undefined) this.model.accepted(name, next.presence);
          else assert.match(code, /^(forbidden|too_many_topics|conflict)$/);
        }
      }
    });
  }

  private async resume(nextRoles: readonly Role[], positions: Record<string, unknown>): Promise<void> {
    const { session_id: id } = this.client.status as { session_id: string };
    const old = this.client.id!;
    this.client.disconnect();
    await until(() => !this.service.service.io.of('/').sockets.has(old), 'the connection has left');
    this.model.resume(nextRoles);
    const given = Object.entries(positions).flatMap(([name, value]) =>
      value === undefined || value === null ? [] : [name],
    );
    await this.connect({ session_id: id, positions });
    const restored = (this.client.status['topics'] as { topic: string; recovered?: boolean }[]).map(
      ({ topic: name, recovered }) => {
        const goesOn =
          this.model.subscribed.has(name) &&
          !allows(nextRoles, 'presence', name) &&
          readPosition(positions[name]) !== unknownPosition;
        // Without the right to read history, the position of the session counts.
        if (given.includes(name) && !goesOn)
          assert.equal(recovered, false, `${name} has an impossible position`);
        return name;
      },
    );
    const wanted = new Set([...this.model.subscribed, ...given]);
    for (const name of wanted) if (!allows(nextRoles, 'subscribe', name)) wanted.delete(name);
    for (const name of restored) assert.ok(wanted.has(name), `${name} comes from nowhere`);
    const refused = [...wanted].filter(isRefusedByHook).length;
    assert.ok(restored.length >= Math.min(wanted.size, limit) - refused, 'all that fit are restored');
    this.model.subscribed.clear();
    for (const name of restored) this.model.subscribed.add(name);
  }

  private send(next: Command) {
    const { kind } = next;
    if (kind === 'refresh')
      return emit(this.client, 'refresh', { token: tokenOf(this.user, { roles: next.roles }) });
    if (kind === 'unsubscribe') return emit(this.client, 'unsubscribe', { topics: next.topics });
    const { topics: names, presence, since } = next;
    return emit(this.client, 'subscribe', { topics: names, presence, since });
  }

  private async setMode(to: string): Promise<void> {
    if (to === this.mode) return;
    this.mode = to;
    const response = await fetch(`${this.service.url}/admin/emergency-mode`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('olga', { roles: ['admin'] })}` },
      body: JSON.stringify({ mode: to }),
    });
    assert.equal(response.status, 200);
    await until(
      async () =>
        ((await (await fetch(`${this.service.url}/health`)).json()) as { mode?: string }).mode === to,
      'the mode is in force',
    );
  }

  private rooms(prefix: string): string[] {
    return [...(this.service.service.io.of('/').adapter.sids.get(this.client.id!) ?? [])]
      .filter((room) => room.startsWith(prefix))
      .map((room) => room.slice(prefix.length))
      .sort();
  }

  private compare(): void {
    assert.deepEqual(this.rooms('topic:'), [...this.model.subscribed].sort(), 'subscribed');
    assert.deepEqual(this.rooms('presence:'), [...this.model.watched].sort(), 'watched');
  }
}

for (const storage of ['memory', 'Redis'] as const) {
  describe(`[GATE] subscriptions under random commands, resumes and modes, ${storage} (seed ${seed})`, function () {
    let redis: TestRedis | undefined;
    let service: EmbeddedService;
    /** Joins that no check should have let through. */
    const wrong: string[] = [];
    let users = 0;

    before(async () => {
      if (storage === 'Redis') redis = await TestRedis.start();
      service = await startEmbedded(
        {
          RTC_PERMISSIONS: JSON.stringify(permissionRules),
          RTC_WEBSOCKET_MAX_TOPICS_PER_CONNECTION: String(limit),
          ...(redis && { REDIS_URL: redis.url }),
        },
        {
          hooks: {
            onSubscribe: async ({ topic: name }) => {
              if (name.endsWith('3') || isRefusedByHook(name)) await sleep(Math.random() * 5);
              if (isRefusedByHook(name)) throw new RefusalError('forbidden', 'not this one');
            },
          },
        },
      );
      const { adapter, sockets } = service.service.io.of('/');
      adapter.on('join-room', (room: string, id: string) => {
        const joined = [...adapter.sids.get(id)!].filter((name) => name.startsWith('topic:'));
        if (joined.length > limit) wrong.push(`${joined.length} topics`);
        const { user } = sockets.get(id)!.data as { user?: { roles: readonly Role[] } };
        const name = room.replace(/^(topic|presence):/, '');
        const action = room.startsWith('presence:') ? 'presence' : 'subscribe';
        if (name === room || user === undefined) return;
        if (!allows(user.roles, action, name) || isRefusedByHook(name)) wrong.push(`${action} ${name}`);
      });
    });

    after(async () => {
      await service.service.close();
      await redis?.stop();
    });

    it('are those of the model, and nothing forbidden is ever joined, not for a moment', async () => {
      const property = fc.asyncProperty(roles, fc.array(step, { maxLength: 12 }), async (initial, steps) => {
        const client = new RandomClient(service, `user-${users++}`, initial);
        await client.connect();
        try {
          for (const next of steps) await client.take(next);
        } finally {
          await client.end();
        }
        assert.deepEqual(wrong, []);
      });
      await fc.assert(property, { seed, numRuns: 40 });
    });
  });
}
