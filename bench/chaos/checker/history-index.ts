import type { EventOf, HistoryEvent, LossWindow, StoredMessage } from '../history/event.js';

/** The log of one topic as it was read after the run. */
export interface ReadLog {
  readonly messages: readonly StoredMessage[];
  readonly end: { readonly epoch: string; readonly sequence: number };
  /** The messages by id, each with its place. */
  readonly byId: ReadonlyMap<string, EventOf<'stored'>>;
}

/** One attempt of a publish or direct message, with its answer. */
export interface Attempt {
  readonly sent: EventOf<'publish'> | EventOf<'direct'>;
  readonly answer: EventOf<'published'> | EventOf<'direct-answered'> | undefined;
}

/** A history, prepared for the rules. */
export class HistoryIndex {
  readonly logs: ReadonlyMap<string, ReadLog>;
  readonly losses: readonly LossWindow[];
  /** The attempts of each operation, in order. */
  readonly operations: ReadonlyMap<string, readonly Attempt[]>;
  private readonly byKind = new Map<HistoryEvent['kind'], HistoryEvent[]>();

  constructor(readonly events: readonly HistoryEvent[]) {
    for (const event of events) {
      const same = this.byKind.get(event.kind);
      if (same === undefined) this.byKind.set(event.kind, [event]);
      else same.push(event);
    }
    this.logs = this.readLogs();
    this.losses = this.of('fault').flatMap(({ loses }) => (loses === undefined ? [] : [loses]));
    this.operations = this.joinAttempts();
  }

  of<Kind extends HistoryEvent['kind']>(kind: Kind): readonly EventOf<Kind>[] {
    return (this.byKind.get(kind) ?? []) as unknown as readonly EventOf<Kind>[];
  }

  /** The events of these kinds by client, then in order. */
  byClient<
    Kind extends
      | 'message'
      | 'gap'
      | 'subscribed'
      | 'unsubscribed'
      | 'connected'
      | 'disconnected'
      | 'settled'
      | 'presence-event',
  >(kinds: readonly Kind[]): Map<string, EventOf<Kind>[]> {
    const byClient = new Map<string, EventOf<Kind>[]>();
    const wanted = new Set<string>(kinds);
    for (const event of this.events) {
      if (!wanted.has(event.kind)) continue;
      const { client } = event as EventOf<'message'>;
      const mine = byClient.get(client);
      if (mine === undefined) byClient.set(client, [event as EventOf<Kind>]);
      else mine.push(event as EventOf<Kind>);
    }
    return byClient;
  }

  /** Whether what was stored between these times may be lost. */
  mayBeLost(fromMs: number, untilMs: number, durability?: string): boolean {
    return this.losses.some(
      ({ keeps, ...window }) =>
        (keeps === undefined || keeps !== durability) && fromMs <= window.untilMs && untilMs >= window.fromMs,
    );
  }

  /** Whether a message that was acknowledged before this time is missing in the log of a topic. */
  hasLost(topic: string, beforeMs: number): boolean {
    const log = this.logs.get(topic);
    return this.of('published').some(
      (answer) =>
        answer.outcome === 'acknowledged' &&
        answer.target === topic &&
        answer.at < beforeMs &&
        log?.byId.has(answer.id) === false,
    );
  }

  private readLogs(): Map<string, ReadLog> {
    const logs = new Map<string, ReadLog>();
    const stored = this.of('stored');
    for (const { topic, epoch, sequence } of this.of('log-read')) {
      const messages = stored.filter((one) => one.topic === topic).sort((a, b) => a.place - b.place);
      const byId = new Map(messages.map((message) => [message.id, message] as const));
      logs.set(topic, { messages, end: { epoch, sequence }, byId });
    }
    return logs;
  }

  private joinAttempts(): Map<string, Attempt[]> {
    const answers = new Map<string, Attempt['answer']>();
    for (const answer of [...this.of('published'), ...this.of('direct-answered')])
      answers.set(`${answer.operation} ${answer.attempt}`, answer);
    const operations = new Map<string, Attempt[]>();
    for (const sent of [...this.of('publish'), ...this.of('direct')]) {
      const attempt = { sent, answer: answers.get(`${sent.operation} ${sent.attempt}`) };
      const before = operations.get(sent.operation);
      if (before === undefined) operations.set(sent.operation, [attempt]);
      else before.push(attempt);
    }
    return operations;
  }
}
