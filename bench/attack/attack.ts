import { setTimeout as sleep } from 'node:timers/promises';
import type { Prepared } from './preparation.js';
import { attackFrame, RawClient, type Target } from './raw-client.js';

/** Who attacks: somebody without a token, or a user with one of role `user`. */
export type Attacker = 'nobody' | 'user';

/** What an attack did, to show that it took place. */
export interface AttackCounts {
  /** Connections and requests that were accepted. */
  opened: number;
  /** Those that were refused. */
  refused: number;
  /** Connections that the service closed. */
  closed: number;
  sentBytes: number;
}

/** What an attack is given. */
export interface AttackContext {
  readonly target: Target;
  readonly attacker: Attacker;
  /** A token of the attacking user; of nobody one that is not valid. */
  readonly token: string;
  /** Another valid token of the same user, for `refresh`; of nobody one that is not valid. */
  readonly otherToken: string;
  /** When the attack ends, in milliseconds since 1970. */
  readonly endsAt: number;
  readonly counts: AttackCounts;
}

/** One method of attack. */
export interface Attack {
  readonly name: string;
  /** What it does, in one line. */
  readonly what: string;
  readonly as: readonly Attacker[];
  /** Data that the service holds before the attack begins. */
  readonly prepared?: Prepared;
  /** The service runs on Redis, which is stopped by a signal while the attack lasts. */
  readonly stallsRedis?: true;
  run(context: AttackContext): Promise<void>;
}

/** How a flood over WebSockets is done. */
export interface Flood {
  readonly wire: 'socketio' | 'json';
  /** Whether a Socket.IO client joins with the token first. A client of `/ws` has joined by its upgrade. */
  readonly joins?: boolean;
  /** Frames after joining, each answered before the flood begins if the answer is awaited by this text. */
  readonly before?: readonly string[];
  /** Sent again and again. */
  readonly chunk: Buffer | ((round: number) => Buffer);
  readonly connections?: number;
  readonly reads?: boolean;
}

export const enginePath = '/socket.io/?EIO=4&transport=websocket';

/** Sends the same frames over several WebSockets until the end; a connection that is closed is opened again. */
export async function flood(context: AttackContext, plan: Flood): Promise<void> {
  await inParallel(plan.connections ?? 4, async () => {
    let round = 0;
    while (Date.now() < context.endsAt) {
      const client = await openWebSocket(context, plan);
      if (client === undefined) continue;
      if (plan.reads !== true) client.stopReading();
      while (Date.now() < context.endsAt) {
        const chunk = typeof plan.chunk === 'function' ? plan.chunk(round++) : plan.chunk;
        if (!(await client.sendAll(chunk))) break;
        context.counts.sentBytes += chunk.length;
      }
      if (client.isClosed) context.counts.closed++;
      client.destroy();
    }
  });
}

/** Opens and joins. Resolves to undefined, after a moment, if it is refused. */
export async function openWebSocket(
  context: AttackContext,
  { wire, joins = false, before = [] }: Pick<Flood, 'wire' | 'joins' | 'before'>,
): Promise<RawClient | undefined> {
  const path = wire === 'json' ? `/ws?token=${context.token}` : enginePath;
  const client = await RawClient.upgrade(context.target, path);
  if (client === undefined) {
    context.counts.refused++;
    await sleep(2);
    return undefined;
  }
  context.counts.opened++;
  if (wire === 'socketio' && joins) {
    client.send(attackFrame(`40${JSON.stringify({ token: context.token })}`));
    await client.until(() => /42\["status"|44\{/.test(client.received), 12_000);
  }
  for (const frame of before) client.send(attackFrame(frame));
  if (before.length > 0) await sleep(300);
  return client;
}

/** Runs the same work several times at once. */
export async function inParallel(times: number, work: (n: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: times }, (_, n) => work(n)));
}

/** The same frames, many times, in one buffer. */
export function repeated(times: number, ...frames: readonly Buffer[]): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => Buffer.concat(frames)));
}
