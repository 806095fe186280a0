import { setTimeout as sleep } from 'node:timers/promises';
import { need, waitUntil } from '../chaos/processes/wait.js';
import { cpuSecsOf, machineCpuSecs, tokenFor, type Side, type SideName } from '../processes.js';
import { DeployedPublisher } from '../reload/publisher.js';
import { ClientLink, type Rotation } from './client-link.js';
import type { Return } from './fire-client.js';
import type { Plant } from './plant.js';
import { sumOf, type Deliveries } from './stream-check.js';
import { Swarms } from './swarms.js';

/** One run. */
export interface FirePlan {
  readonly clients: number;
  readonly processes: number;
  readonly topics: number;
  /** Messages per second and topic. */
  readonly ratePerSec: number;
  readonly secs: number;
  readonly cutEveryMs: number;
  readonly cutMs: number;
  /** Whether the replicas are restarted afterwards, one after the other. */
  readonly restart: boolean;
  readonly plant: Plant | undefined;
}

/** A replica that was restarted. Moments are milliseconds since 1970. */
export interface Restart {
  readonly termAt: number;
  readonly endedAt: number;
  readonly readyAt: number;
}

/** What a run has shown of a side. */
export interface FireOutcome {
  readonly side: SideName;
  readonly plan: FirePlan;
  readonly connectSecs: number;
  /** Clients with a subscription at the end. */
  readonly ready: number;
  readonly fire: Deliveries;
  /** What was published since the first replica was told to end. */
  readonly rolling: Deliveries | undefined;
  readonly returns: readonly Return[];
  readonly restarts: readonly Restart[];
  /** Processors that were in use under fire. */
  readonly cores: Readonly<Record<'servers' | 'redis' | 'clients' | 'others', number>>;
  /** Resident memory of all servers: with all clients connected, and the most under fire. */
  readonly memoryBytes: { readonly before: number; readonly peak: number };
  /** The most that the timers of a client process were late, in milliseconds (p99). */
  readonly clientDelayMs: number;
}

const warmUpMs = 3000;
/** Longer than it takes until two messages of a topic have come, and until the number of clients that are back is known. */
const settleMs = 1000;
/** Longer than the back-off of clients that a replica has let go. */
const betweenReplicasMs = 5000;
const completeLimitMs = 30_000;

/** Clients whose connections are cut again and again while messages are published; then a rolling restart. */
export async function measureFire(
  side: Side,
  plan: FirePlan,
  log: (line: string) => void,
): Promise<FireOutcome> {
  const topics = Array.from({ length: plan.topics }, (_, n) => `fire-${n}`);
  const { clients, cutEveryMs, cutMs, plant } = plan;
  const wire = side.name.startsWith('rtc') ? 'topics' : 'rooms';
  const connectFrom = performance.now();
  const swarms = await Swarms.start(
    { wire, ports: side.ports, first: 0, clients, topics, cutEveryMs, cutMs, ...(plant && { plant }) },
    plan.processes,
  );
  try {
    const connectSecs = (performance.now() - connectFrom) / 1000;
    log(`${side.name}: ${clients} clients are connected after ${connectSecs.toFixed(1)} s`);
    const rotation: Rotation = { ports: side.ports };
    const publishers = topics.map(
      (topic, n) =>
        new DeployedPublisher(
          'http://127.0.0.1',
          `publisher-${n}`,
          tokenFor(`publisher-${n}`, ['user']),
          [topic],
          plan.ratePerSec,
          new ClientLink(rotation, n),
        ),
    );
    const published = () =>
      publishers.map(({ acknowledged }, n) => acknowledged.get(topics[n]!)?.length ?? 0);
    await need(() => published().every((count) => count > 0), 'messages are published to every topic');
    await sleep(warmUpMs);
    const underFire = await useOf(side, swarms, async () => {
      swarms.ask({ ask: 'cut', isOn: true });
      await sleep(plan.secs * 1000);
    });
    const untilRestart = published();
    const restarts = plan.restart ? await restartAll(side, swarms, rotation, log) : [];
    swarms.ask({ ask: 'cut', isOn: false });
    // Messages go on until everybody is back: that is when a client knows that it has what it missed.
    await sleep(settleMs);
    await waitUntil(() => swarms.ready === clients, completeLimitMs);
    await sleep(settleMs);
    for (const publisher of publishers) await publisher.finish();
    const bounds = published().map((count, n) => (plan.restart ? [0, untilRestart[n]!, count] : [0, count]));
    const results = await swarms.finish(bounds, completeLimitMs);
    const partOf = (part: number) => sumOf(results.map(({ deliveries }) => deliveries[part]!));
    return {
      side: side.name,
      plan,
      connectSecs,
      ready: results.reduce((sum, { ready }) => sum + ready, 0),
      fire: partOf(0),
      rolling: plan.restart ? partOf(1) : undefined,
      returns: results.flatMap(({ returns }) => returns),
      restarts,
      ...underFire,
      clientDelayMs: Math.max(...results.map(({ loopDelayP99Ms }) => loopDelayP99Ms)),
    };
  } finally {
    swarms.stop();
  }
}

/** Processors and memory that are used meanwhile. */
async function useOf(
  side: Side,
  swarms: Swarms,
  work: () => Promise<void>,
): Promise<Pick<FireOutcome, 'cores' | 'memoryBytes'>> {
  const read = () => {
    const [servers, all, clients] = [side.cpuSecs('servers'), side.cpuSecs(), swarms.cpuSecs()];
    // This process has the publishers.
    const others = machineCpuSecs() - all - clients - cpuSecsOf(process.pid);
    return { at: performance.now(), servers, redis: all - servers, clients, others };
  };
  const before = side.memoryBytes();
  let peak = before;
  const look = setInterval(() => (peak = Math.max(peak, side.memoryBytes())), 500);
  const from = read();
  try {
    await work();
  } finally {
    clearInterval(look);
  }
  const to = read();
  const cores = (of: keyof FireOutcome['cores']) =>
    Math.max(0, ((to[of] - from[of]) / (to.at - from.at)) * 1000);
  return {
    cores: {
      servers: cores('servers'),
      redis: cores('redis'),
      clients: cores('clients'),
      others: cores('others'),
    },
    memoryBytes: { before, peak },
  };
}

/** As a deployment does: out of the rotation, SIGTERM, a new process on the same port, back into the rotation; then the next. */
async function restartAll(
  side: Side,
  swarms: Swarms,
  rotation: Rotation,
  log: (line: string) => void,
): Promise<Restart[]> {
  const restarts: Restart[] = [];
  const lead = (ports: readonly number[]) => {
    rotation.ports = ports;
    swarms.ask({ ask: 'rotation', ports });
  };
  for (const [replica, port] of side.ports.entries()) {
    lead(side.ports.filter((other) => other !== port));
    const termAt = Date.now();
    let endedAt = termAt;
    await side.restart(replica, () => (endedAt = Date.now()));
    lead(side.ports);
    restarts.push({ termAt, endedAt, readyAt: Date.now() });
    log(`${side.name}: replica ${replica} is back after ${Date.now() - termAt} ms`);
    await sleep(betweenReplicasMs);
  }
  return restarts;
}
