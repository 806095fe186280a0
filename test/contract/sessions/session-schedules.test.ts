import assert from 'node:assert/strict';
import type { Position } from '../../../shared/position.js';
import { silentLog } from '../../../server/logging/log.js';
import type { Connection } from '../../../server/protocol/connection.js';
import { SessionService } from '../../../server/sessions/session-service.js';
import { NoRoomError, type SessionStore } from '../../../server/sessions/session-store.js';
import { Closing } from '../../support/closing.js';
import { openSessionStores } from '../../support/session-stores.js';
import { until } from '../../support/wait.js';
import { seededRandom } from '../../../bench/seeded-random.js';

const topics = ['a', 'b', 'c', 'd'];
const steps = 80;
const at = (sequence: number): Position => ({ epoch: 'e', sequence });

/** A connection, as its client and its replica see it. */
interface Link {
  readonly connection: Connection;
  readonly service: SessionService;
  readonly client: SimulatedClient;
  /** The client is there, and answers. Otherwise the connection is half open. */
  isAlive: boolean;
  /** The client answers, but too late for a question. */
  isSlow: boolean;
  /** Positions that were handed to the transport. */
  readonly handed: Map<string, number>;
  /** Positions that were handed to the transport before the last ping. */
  pinged: Map<string, number>;
}

/** A client that knows its session by its id alone, and what it has received. */
interface SimulatedClient {
  session: string | undefined;
  /** Its subscriptions, each with the last message that it has received. */
  readonly received: Map<string, number>;
  link: Link | undefined;
}

/**
 * Clients, their connections to two replicas, and the log. It checks at each resumption that the session has
 * exactly the topics of the client, each from a position that the client has, unless the client is told that
 * it was not resumed.
 */
class World {
  private readonly logs = new Map(topics.map((topic) => [topic, 0]));
  private readonly clients: SimulatedClient[] = [];
  private readonly links: Link[] = [];
  private readonly services: SessionService[];
  /** Replicas that were killed. */
  private readonly killed: SessionService[] = [];
  private readonly handlers = new Map<string, (data: unknown) => unknown>();
  private connections = 0;
  /** The other replica does not answer for now. */
  private isFrozen = false;
  /** The stores take no sessions for so many steps. */
  private fullSteps = 0;
  /** The stores take no sessions for another reason, for a moment. */
  private isFailing = false;
  /** Failed writes are repeated only after a pause, and nothing makes up for a replica that ends before. */
  private hasFailed = false;
  resumptions = 0;

  constructor(
    private readonly stores: readonly SessionStore[],
    private readonly below: (limit: number) => number,
    private readonly name: () => string,
  ) {
    this.services = [this.replica(0), this.replica(1)];
    for (let n = 0; n < 2; n++)
      this.clients.push({ session: undefined, received: new Map(), link: undefined });
  }

  async step(): Promise<void> {
    const client = this.clients[this.below(this.clients.length)]!;
    const topic = topics[this.below(topics.length)]!;
    const { link } = client;
    const what = this.below(24);
    if (this.fullSteps > 0) this.fullSteps--;
    if (what < 5) this.publish(topic);
    else if (link === undefined) await this.attach(client);
    else if (what < 8) await this.subscribe(link, topic);
    else if (what < 10) await this.unsubscribe(link, topic);
    else if (what < 12) link.pinged = new Map(link.handed);
    else if (what < 15) this.pong(link);
    else if (what === 15) this.receive(link, link.handed);
    else if (what === 16) this.close(link);
    else if (what === 17) await this.attachWhileHalfOpen(client);
    else if (what === 18) this.findDead();
    else if (what === 19 && this.clients.length < 5) await this.duplicate(client, false);
    else if (what === 20 && this.clients.length < 5) await this.duplicate(client, true);
    else if (what === 21) this.fullSteps = this.below(10);
    else if (what === 22 && !this.hasFailed) this.kill(this.below(2));
  }

  async end(): Promise<void> {
    this.fullSteps = 0;
    for (const client of this.clients) {
      if (client.link !== undefined) this.close(client.link);
      await this.attach(client);
    }
    for (const service of [...this.services, ...this.killed]) await service.close();
  }

  private replica(n: number): SessionService {
    const linkOf = ({ id }: Connection) => this.links.find(({ connection }) => connection.id === id)!;
    const replicaId = `replica ${n}, ${this.killed.length} killed before`;
    const service: SessionService = new SessionService(
      {
        store: this.withRoom(this.stores[n % this.stores.length]!, () => this.killed.includes(service)),
        replicaId,
        topics: {
          positions: (connection) =>
            new Map([...linkOf(connection).handed].map(([topic, sequence]) => [topic, at(sequence)])),
        },
        calls: {
          handle: (_name, handler) => this.handlers.set(replicaId, handler),
          ask: async <Result>(replica: string, _name: string, data: unknown) => {
            if (this.isFrozen) throw new Error('no answer');
            return { result: (await this.handlers.get(replica)!(data)) as Result };
          },
          replicas: async () => [...this.handlers.keys()],
        },
        isAlive: async (connection) => linkOf(connection).isAlive && !linkOf(connection).isSlow,
        log: silentLog,
        now: () => 0,
      },
      { ttlMs: 60_000 },
    );
    return service;
  }

  /** A replica ends at once, and another one starts. */
  private kill(n: number): void {
    const service = this.services[n]!;
    this.handlers.delete([...this.handlers.keys()].find((id) => id.startsWith(`replica ${n},`))!);
    this.killed.push(service);
    this.services[n] = this.replica(n);
    for (const link of this.links) {
      if (link.service !== service) continue;
      link.isAlive = false;
      if (link.client.link === link) link.client.link = undefined;
    }
  }

  /** The store, which has no room for sessions now and then. */
  private withRoom(store: SessionStore, isKilled: () => boolean): SessionStore {
    const save: SessionStore['save'] = async (session, by) => {
      if (isKilled()) throw new Error('killed');
      if (this.fullSteps > 0) throw new NoRoomError('full');
      if (this.isFailing) throw new Error('failing');
      return store.save(session, by);
    };
    const forget: SessionStore['forget'] = async (id, by) => {
      if (!isKilled()) await store.forget(id, by);
    };
    return Object.create(store, { save: { value: save }, forget: { value: forget } }) as SessionStore;
  }

  private async attach(client: SimulatedClient): Promise<void> {
    const service = this.services[this.below(2)]!;
    const opened = await service.open('ann', client.session, new Map());
    const connection = {
      id: `c${this.connections++}`,
      sessionId: opened.id,
      identity: { userId: 'ann' },
      emit: (_event: string, { details }: { details: { session_id: string } }) => {
        client.session = details.session_id;
      },
    } as unknown as Connection;
    const link = {
      connection,
      service,
      client,
      isAlive: true,
      isSlow: false,
      handed: new Map(),
      pinged: new Map(),
    };
    this.links.push(link);
    assert.equal(opened.later, undefined, this.name());
    if (opened.resumed === true) {
      this.resumptions++;
      const wanted = [...client.received.keys()].sort();
      assert.deepEqual([...opened.topics.keys()].sort(), wanted, `${this.name()}: the topics`);
      for (const [topic, { sequence }] of opened.topics)
        assert.ok(sequence <= client.received.get(topic)!, `${this.name()}: ${topic} skips messages`);
    }
    client.session = opened.id;
    client.link = link;
    service.connected(connection, opened, opened.topics);
    // Some connections are cut before their topics are restored.
    if (this.below(6) === 0) {
      if (opened.resumed !== true) client.session = undefined;
      if (client.session === undefined) client.received.clear();
      this.close(link);
      return;
    }
    for (const [topic, since] of opened.topics) {
      await service.prepare(connection, topic, since);
      link.handed.set(topic, this.logs.get(topic)!);
      service.subscribed(connection, topic, since, at(this.logs.get(topic)!));
    }
    if (opened.resumed === true) return;
    // The client knows that it has to begin anew.
    client.received.clear();
    for (const topic of opened.topics.keys()) await this.unsubscribe(link, topic);
  }

  /** The client comes back, and nobody knows that its former connection is dead. */
  private async attachWhileHalfOpen(client: SimulatedClient): Promise<void> {
    const link = client.link!;
    // What a replica has not written when it stalls is lost; but one that runs has what its store does not take.
    this.isFrozen = !this.hasFailed && this.below(3) === 0;
    this.isFailing = !this.isFrozen && this.below(3) === 0;
    this.hasFailed ||= this.isFailing;
    const topic = topics[this.below(topics.length)]!;
    await (this.below(2) === 0 ? this.subscribe(link, topic) : this.unsubscribe(link, topic));
    link.isAlive = false;
    client.link = undefined;
    await this.attach(client);
    this.isFrozen = false;
    this.isFailing = false;
  }

  /** A second client has the id of a session. If the first one answers late, the second one takes its session. */
  private async duplicate(client: SimulatedClient, isSlow: boolean): Promise<void> {
    const { link, session, received } = client;
    // Without room, the first one learns only later that it has lost its session.
    this.fullSteps = 0;
    link!.isSlow = isSlow;
    this.receive(link!, link!.handed);
    const copy: SimulatedClient = { session, received: new Map(received), link: undefined };
    this.clients.push(copy);
    await this.attach(copy);
    link!.isSlow = false;
    if (!isSlow) assert.notEqual(copy.session, client.session, this.name());
    if (copy.session !== session) return;
    // It has taken the session. The first one is found to be there all the same.
    for (let n = 0; n < 2; n++) this.pong(link!);
    await until(() => client.session !== session, `${this.name()}: each has an id of its own`);
    // Whoever still has the former id is told that its session is gone.
    const { resumed } = await link!.service.open('ann', session, new Map());
    assert.equal(resumed, false, this.name());
  }

  private publish(topic: string): void {
    const sequence = this.logs.get(topic)! + 1;
    this.logs.set(topic, sequence);
    for (const { handed } of this.links) if (handed.has(topic)) handed.set(topic, sequence);
  }

  private async subscribe(link: Link, topic: string): Promise<void> {
    if (link.handed.has(topic)) return;
    await link.service.prepare(link.connection, topic, undefined);
    const sequence = this.logs.get(topic)!;
    link.handed.set(topic, sequence);
    link.client.received.set(topic, sequence);
    link.service.subscribed(link.connection, topic, undefined, at(sequence));
  }

  private async unsubscribe(link: Link, topic: string): Promise<void> {
    link.handed.delete(topic);
    link.pinged.delete(topic);
    link.client.received.delete(topic);
    link.service.drop(link.connection, topic);
    await link.service.stored(link.connection);
  }

  /** The client has received these positions, in the order in which they were sent. */
  private receive({ client, handed }: Link, positions: ReadonlyMap<string, number>): void {
    for (const [topic, sequence] of positions)
      if (handed.has(topic)) client.received.set(topic, Math.max(client.received.get(topic) ?? 0, sequence));
  }

  private pong(link: Link): void {
    this.receive(link, link.pinged);
    link.service.onHeartbeat(link.connection);
    link.pinged = new Map(link.handed);
  }

  private close(link: Link): void {
    link.isAlive = false;
    if (link.client.link === link) link.client.link = undefined;
    link.service.left(link.connection);
    this.links.splice(this.links.indexOf(link), 1);
  }

  private findDead(): void {
    const dead = this.links.find(({ isAlive }) => !isAlive);
    if (dead !== undefined) this.close(dead);
  }
}

for (const storage of ['memory', 'redis'] as const) {
  describe(`[S3] sessions in ${storage}, in random schedules`, function () {
    this.timeout(60_000);
    const schedules = storage === 'memory' ? 100 : 40;
    const closing = new Closing();
    let stores: SessionStore[];

    before(async () => {
      stores = await openSessionStores(storage, closing);
    });
    after(() => closing.close());

    it('are resumed with the topics of the client, and skip nothing, or say that they were not', async () => {
      const firstSeed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
      let resumptions = 0;
      for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
        let step = 0;
        const world = new World(stores, seededRandom(seed), () => `seed ${seed}, step ${step}`);
        try {
          for (; step < steps; step++) await world.step();
        } finally {
          await world.end();
        }
        resumptions += world.resumptions;
      }
      assert.ok(resumptions > schedules, `${resumptions} sessions were resumed`);
    });
  });
}
