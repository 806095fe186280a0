import type { Position } from '../../../shared/position.js';

/** A time during which Redis may have lost writes, in milliseconds of the run. */
export interface LossWindow {
  readonly fromMs: number;
  readonly untilMs: number;
  /** What was acknowledged with this durability was not lost. */
  readonly keeps?: 'replicated';
}

/** What a client was answered. */
export type Outcome =
  | {
      readonly outcome: 'acknowledged';
      readonly id: string;
      /** Absent in the answers of `direct`. */
      readonly epoch?: string;
      readonly sequence: number;
      readonly durability?: string;
      readonly duplicate?: boolean;
      readonly delivered?: number;
      /** To how many connections it was written, of a publish that waits for confirmations. */
      readonly expected?: number;
    }
  | { readonly outcome: 'refused'; readonly code: string }
  /** The connection ended first: the client does not know. */
  | { readonly outcome: 'lost' }
  /** There was no answer although the connection was alive at the end of the run. */
  | { readonly outcome: 'unanswered' };

/** Names one connection of one client. */
interface OnConnection {
  readonly client: string;
  /** Counts the connections of the client. */
  readonly connection: number;
}

interface Sent extends OnConnection {
  /** Names the operation; its attempts share it, and it is the idempotency key. */
  readonly operation: string;
  readonly attempt: number;
  /** The topic, or the recipient of a direct message. */
  readonly target: string;
}

/** A stored message as it was read after the run. */
export interface StoredMessage extends Position {
  readonly id: string;
  /** Unique text of the operation that published it. */
  readonly body: string;
}

/** What can be in a history, without its time. */
export type HistoryFact =
  /** A fault of the run. */
  | { readonly kind: 'fault'; readonly what: string; readonly loses?: LossWindow }
  | (OnConnection & {
      readonly kind: 'connected';
      readonly user: string;
      /** Whether a session was asked for, and what the service said of it. */
      readonly recovered?: boolean;
      readonly askedForSession: boolean;
      readonly replica: string;
    })
  | (OnConnection & { readonly kind: 'disconnected' })
  /** A subscription has begun: by `subscribe`, or as part of a session. */
  | (OnConnection & {
      readonly kind: 'subscribed';
      readonly topic: string;
      readonly by: 'command' | 'session';
      readonly since?: Position;
      readonly epoch: string;
      readonly sequence: number;
      readonly recovered?: boolean;
      readonly missed?: number;
    })
  | (OnConnection & { readonly kind: 'unsubscribed'; readonly topic: string })
  | (OnConnection & { readonly kind: 'message'; readonly topic: string } & StoredMessage)
  | (OnConnection & {
      readonly kind: 'gap';
      readonly topic: string;
      readonly epoch: string;
      readonly sequence: number;
      readonly reason: string;
    })
  | (Sent & { readonly kind: 'publish'; readonly body: string })
  | (Sent & { readonly kind: 'published' } & Outcome)
  | (Sent & { readonly kind: 'direct'; readonly body: string })
  | (Sent & { readonly kind: 'direct-answered' } & Outcome)
  /** A direct message has arrived; the client acknowledges it. */
  | (OnConnection & { readonly kind: 'direct-received'; readonly user: string } & StoredMessage)
  | (OnConnection & {
      readonly kind: 'presence-event';
      readonly topic: string;
      readonly event: 'join' | 'leave';
      readonly user: string;
    })
  /** Something came that is not of the wire. */
  | (OnConnection & { readonly kind: 'unreadable'; readonly text: string })
  /** After the run: one message of a log; `place` counts from 0. */
  | ({ readonly kind: 'stored'; readonly topic: string; readonly place: number } & StoredMessage)
  /** After the run: the whole log was read; it ends here. */
  | ({ readonly kind: 'log-read'; readonly topic: string } & Position)
  /** After the run: this client holds a subscription, had time to catch up, and was connected. */
  | (OnConnection & { readonly kind: 'settled'; readonly topic: string })
  /** After the run: a client could not connect and subscribe again in time. */
  | { readonly kind: 'stuck'; readonly client: string; readonly what: string }
  /** After the run: who is present, by one replica, and who is connected. */
  | {
      readonly kind: 'presence-read';
      readonly replica: string;
      readonly topic: string;
      readonly users: readonly string[];
      readonly connected: readonly string[];
    }
  /** A replica has ended on SIGTERM. */
  | {
      readonly kind: 'replica-stopped';
      readonly replica: string;
      readonly exitCode: number | null;
      readonly tookMs: number;
      readonly limitMs: number;
    }
  /** How much the memory of a replica grew. */
  | {
      readonly kind: 'memory';
      readonly replica: string;
      readonly growthBytes: number;
      readonly limitBytes: number;
    }
  /** A replica has logged a bug. */
  | { readonly kind: 'bug'; readonly replica: string; readonly line: string };

/** One line of a history: a fact, and when a client or the run recorded it, in milliseconds since the run began. */
export type HistoryEvent = HistoryFact & { readonly at: number };

/** The events of one kind. */
export type EventOf<Kind extends HistoryEvent['kind']> = Extract<HistoryEvent, { kind: Kind }>;
