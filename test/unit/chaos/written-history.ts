import type { HistoryEvent, HistoryFact } from '../../../bench/chaos/history/event.js';

/** A hand-written history: facts of one topic `t`, a millisecond apart. */
export function written(...facts: readonly HistoryFact[]): HistoryEvent[] {
  return facts.map((fact, n) => ({ ...fact, at: n + 1 }));
}

const topic = 't';

/** The facts of tests, with what matters there. */
export const say = {
  fault: (fromMs?: number, untilMs = fromMs ?? 0): HistoryFact => ({
    kind: 'fault',
    what: 'a fault',
    ...(fromMs !== undefined && { loses: { fromMs, untilMs } }),
  }),
  connected: (client: string, connection = 1, askedForSession = false): HistoryFact => ({
    kind: 'connected',
    client,
    connection,
    user: client,
    askedForSession,
    replica: 'r1',
  }),
  subscribed: (
    client: string,
    sequence: number,
    more: Partial<Extract<HistoryFact, { kind: 'subscribed' }>> = {},
  ): HistoryFact => ({
    kind: 'subscribed',
    client,
    connection: 1,
    topic,
    by: 'command',
    epoch: 'e1',
    sequence,
    ...more,
  }),
  unsubscribed: (client: string): HistoryFact => ({ kind: 'unsubscribed', client, connection: 1, topic }),
  message: (
    client: string,
    sequence: number,
    id = `m${sequence}`,
    epoch = 'e1',
    connection = 1,
  ): HistoryFact => ({
    kind: 'message',
    client,
    connection,
    topic,
    epoch,
    sequence,
    id,
    body: `b-${id}`,
  }),
  gap: (client: string, sequence: number, epoch = 'e1'): HistoryFact => ({
    kind: 'gap',
    client,
    connection: 1,
    topic,
    epoch,
    sequence,
    reason: 'log_rolled_back',
  }),
  publish: (operation: string, attempt = 1, body = `b-${operation}`): HistoryFact => ({
    kind: 'publish',
    client: 'p',
    connection: 1,
    operation,
    attempt,
    target: topic,
    body,
  }),
  acknowledged: (
    operation: string,
    sequence: number,
    { id = operation, attempt = 1, duplicate = false, epoch = 'e1', durability = 'stored' } = {},
  ): HistoryFact => ({
    kind: 'published',
    client: 'p',
    connection: 1,
    operation,
    attempt,
    target: topic,
    outcome: 'acknowledged',
    id,
    epoch,
    sequence,
    durability,
    ...(duplicate && { duplicate }),
  }),
  refused: (operation: string, code: string, attempt = 1): HistoryFact => ({
    kind: 'published',
    client: 'p',
    connection: 1,
    operation,
    attempt,
    target: topic,
    outcome: 'refused',
    code,
  }),
  unanswered: (operation: string): HistoryFact => ({
    kind: 'published',
    client: 'p',
    connection: 1,
    operation,
    attempt: 1,
    target: topic,
    outcome: 'unanswered',
  }),
  stored: (place: number, id = `m${place + 1}`, epoch = 'e1', sequence = place + 1): HistoryFact => ({
    kind: 'stored',
    topic,
    place,
    epoch,
    sequence,
    id,
    body: `b-${id}`,
  }),
  logRead: (sequence: number, epoch = 'e1'): HistoryFact => ({ kind: 'log-read', topic, epoch, sequence }),
  settled: (client: string, connection = 1): HistoryFact => ({ kind: 'settled', client, connection, topic }),
};

/** Messages `from`..`to` of a log that holds nothing else, as published, acknowledged and stored. */
export function log(from: number, to: number): HistoryFact[] {
  const numbers = Array.from({ length: to - from + 1 }, (_, n) => from + n);
  return [
    ...numbers.flatMap((n) => [say.publish(`m${n}`), say.acknowledged(`m${n}`, n)]),
    ...numbers.map((n) => say.stored(n - from, `m${n}`, 'e1', n)),
    say.logRead(to),
  ];
}
