import { setTimeout as sleep } from 'node:timers/promises';
import { measure, type Side, type Work } from '../processes.js';

/** Connections that connect first, so that all code is compiled. They are not counted. */
const warmUpConnections = 1000;

/** For so long the connections are held: collecting garbage takes its time on a busy machine. */
const heldMs = 10_000;

/** What a number of idle connections costs the servers of a side. */
export interface IdleCost {
  readonly connections: number;
  readonly connectCpuSecs: number;
  /** Memory of the servers before and after, each after garbage collection. */
  readonly emptyBytes: number;
  readonly fullBytes: number;
}

/**
 * Connects clients that do nothing, and measures what they cost. The side has to be started with an inspector.
 *
 * @param clients those that subscribe to one topic, and those that do not
 */
export async function holdIdle(
  side: Side,
  clients: { readonly subscribers: number; readonly publishers: number },
): Promise<IdleCost> {
  const idle: Work = {
    ...clients,
    topics: 1,
    topicsPerSubscriber: 1,
    ratePerSec: 0,
    warmUpMs: 0,
    windowMs: 0,
    stalled: 0,
    connectGroup: 50,
  };
  const { subscribers, publishers } = clients;
  const some = {
    subscribers: Math.min(subscribers, warmUpConnections),
    publishers: Math.min(publishers, warmUpConnections),
  };
  await measure(side, { ...idle, ...some });
  await sleep(1000);
  await side.collectGarbage();
  const emptyBytes = side.memoryBytes();
  let fullBytes = 0;
  const { connectCpuSecs } = await measure(side, { ...idle, windowMs: heldMs }, async () => {
    await side.collectGarbage();
    fullBytes = side.memoryBytes();
  });
  if (fullBytes === 0) throw new Error(`collecting garbage took longer than ${heldMs} ms`);
  return { connections: subscribers + publishers, connectCpuSecs, emptyBytes, fullBytes };
}
