import { seededRandom } from '../seeded-random.js';
import { check } from './checker/check.js';
import { HistoryIndex } from './checker/history-index.js';
import { directs } from './checker/rules/directs.js';
import { presence } from './checker/rules/presence.js';
import type { Violation } from './checker/violation.js';
import type { ClientDependencies } from './clients/client.js';
import { Publisher } from './clients/publisher.js';
import { Subscriber } from './clients/subscriber.js';
import { openWire } from './clients/open-wire.js';
import type { OpenWire } from './clients/wire.js';
import { withBreach, type BreachName } from './faults/breaches.js';
import type { HistoryEvent } from './history/event.js';
import { Recorder } from './history/recorder.js';
import { waitUntil } from './processes/wait.js';
import { readLog, readPresence } from './reading.js';
import { publisherKinds, subscriberKinds, type Load, type Scenario } from './scenarios/scenario.js';
import { World, type Apps } from './world.js';

export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly apps: Apps;
  /** Planted between the service and its clients. */
  readonly breach?: BreachName;
}

export interface ScenarioResult {
  readonly events: readonly HistoryEvent[];
  readonly violations: readonly Violation[];
  readonly tookMs: number;
}

const usualLoad: Load = { topics: 3, perSec: 40 };
/** How long clients may take to connect at the beginning, and to have everything at the end. */
const settleLimitMs = 20_000;
/** They repeat what was refused, one after the other, on a machine that may be busy. */
const publishersLimitMs = 60_000;
const leaveEveryMs = 700;
/** How long presence events may be on their way. */
const watchLimitMs = 5000;

/** Runs a scenario with real processes, and checks what its clients have seen. Nothing of it runs afterwards. */
export async function runScenario({ scenario, seed, apps, breach }: ScenarioRun): Promise<ScenarioResult> {
  const startedAt = performance.now();
  const random = seededRandom(seed);
  const recorder = new Recorder();
  const open = breach === undefined ? openWire : withBreach(breach, openWire, seededRandom(seed + 1));
  const world = await World.start(scenario, apps, random, recorder);
  try {
    const topics = Array.from({ length: { ...usualLoad, ...scenario.load }.topics }, (_, n) => `t${n + 1}`);
    startClients(world, scenario, topics, open, seed);
    await waitUntil(() => isSubscribed(world), settleLimitMs);
    const leaving = setInterval(() => {
      const positions = world.subscribers.filter(({ plan }) => plan.recovery === 'positions');
      void world.pick(positions).leaveAndReturn(world.pick(topics));
    }, leaveEveryMs);
    try {
      await scenario.run(world);
    } finally {
      clearInterval(leaving);
    }
    await world.heal();
    await settle(world, topics, open);
    for (const client of [...world.publishers, ...world.subscribers]) client.stop();
  } finally {
    await world.stop();
  }
  const wanted = scenario.checks ?? /./;
  const violations = check(recorder.events).filter(({ rule }) => wanted.test(rule));
  return { events: recorder.events, violations, tookMs: performance.now() - startedAt };
}

function startClients(
  world: World,
  scenario: Scenario,
  topics: readonly string[],
  open: OpenWire,
  seed: number,
): void {
  const { perSec, payloadBytes = 0, guests = 0 } = { ...usualLoad, ...scenario.load };
  const dependencies: ClientDependencies = {
    recorder: world.recorder,
    openWire: open,
    // Clients do not use up the numbers of the faults: these stay the same if a client does something else.
    random: seededRandom(seed + 2),
    doors: world.doors,
  };
  for (const [n, [kind, recovery]] of subscriberKinds.entries())
    world.subscribers.push(new Subscriber(dependencies, { name: `s${n + 1}`, kind, recovery, topics }));
  for (let n = 0; n < guests; n++)
    world.guests.push(
      new Subscriber(dependencies, { name: `g${n + 1}`, kind: 'websocket', recovery: 'session', topics }),
    );
  world.subscribers.push(...world.guests);
  const users = world.subscribers.map(({ name }) => name);
  for (const [n, kind] of publisherKinds.entries())
    world.publishers.push(
      new Publisher(dependencies, {
        name: `p${n + 1}`,
        kind,
        command: 'publish',
        targets: topics,
        perSec,
        payloadBytes,
      }),
    );
  world.publishers.push(
    new Publisher(dependencies, {
      name: 'd1',
      kind: 'websocket',
      command: 'direct',
      targets: users,
      perSec: 5,
    }),
  );
  for (const client of [...world.subscribers, ...world.publishers]) client.start();
}

function isSubscribed({ subscribers }: World): boolean {
  return subscribers.every(
    ({ isUp, subscribed, plan }) => isUp && plan.topics.every((topic) => subscribed.has(topic)),
  );
}

/** Gives the clients time to receive everything, then records what they and the service have. */
async function settle(world: World, topics: readonly string[], open: OpenWire): Promise<void> {
  const { recorder, subscribers, publishers } = world;
  await waitUntil(() => isSubscribed(world), settleLimitMs);
  for (const publisher of publishers) publisher.finish();
  await waitUntil(() => publishers.every(({ isDone }) => isDone), publishersLimitMs);
  // What they store from now on would be missing in the logs that are read below.
  for (const publisher of publishers)
    if (!publisher.isDone)
      recorder.add({ kind: 'stuck', client: publisher.name, what: 'still waits for answers, or repeats' });
  const door = world.readingDoor;
  const logs = new Map<string, NonNullable<Awaited<ReturnType<typeof readLog>>>>();
  for (const topic of topics) {
    const log = await readLog(open, door, topic);
    if (log === undefined)
      recorder.add({ kind: 'stuck', client: 'reader', what: `could not read the log of ${topic}` });
    else logs.set(topic, log);
  }
  const hasAll = () =>
    isSubscribed(world) &&
    subscribers.every((subscriber) =>
      topics.every(
        (topic) => (subscriber.positionOf(topic)?.sequence ?? 0) === (logs.get(topic)?.sequence ?? 0),
      ),
    );
  await waitUntil(hasAll, settleLimitMs);
  for (const subscriber of subscribers) {
    const missing = topics.filter((topic) => !subscriber.subscribed.has(topic));
    if (!subscriber.isUp || missing.length > 0)
      recorder.add({
        kind: 'stuck',
        client: subscriber.name,
        what: subscriber.isUp ? `is not subscribed to ${missing.join(', ')}` : 'is not connected',
      });
    else subscriber.settle();
  }
  for (const [topic, { messages, epoch, sequence }] of logs) {
    for (const [place, message] of messages.entries()) {
      const { epoch: at, sequence: number, id, body } = message;
      recorder.add({ kind: 'stored', topic, place, epoch: at, sequence: number, id, body });
    }
    recorder.add({ kind: 'log-read', topic, epoch, sequence });
  }
  // An inbox that could not be read when its user connected is read a little later.
  const hasDirects = () => [...directs(new HistoryIndex(recorder.events))].length === 0;
  await waitUntil(hasDirects, settleLimitMs, 250);
  await recordPresence(world, topics[0]!, open);
}

/** What replicas say of presence, when they agree with the clients or the time for that is over. */
async function recordPresence(world: World, topic: string, open: OpenWire): Promise<void> {
  const connected = () =>
    [
      ...new Set(
        world.subscribers
          .filter(({ isUp, subscribed }) => isUp && subscribed.has(topic))
          .map(({ user }) => user),
      ),
    ].sort();
  for (const door of world.doors) {
    let users: string[] | undefined;
    await waitUntil(
      async () => {
        users = await readPresence(open, door, topic);
        return JSON.stringify(users) === JSON.stringify(connected());
      },
      settleLimitMs,
      250,
    );
    if (users === undefined)
      world.recorder.add({ kind: 'stuck', client: 'reader', what: `could not read presence of ${topic}` });
    else
      world.recorder.add({
        kind: 'presence-read',
        replica: door.replica,
        topic,
        users,
        connected: connected(),
      });
  }
  // The last events are on their way.
  const isWatched = () => [...presence(new HistoryIndex(world.recorder.events))].length === 0;
  await waitUntil(isWatched, watchLimitMs, 250);
}
