import { io, type Socket } from 'socket.io-client';
import type { Message } from '../../shared/message.js';
import type { Position } from '../../shared/position.js';
import type { ClientLink } from './client-link.js';
import { plantIn, type Plant } from './plant.js';
import { StreamCheck } from './stream-check.js';

/** What a client speaks: the topics of this service, with session and positions; or rooms of plain Socket.IO. */
export type FireWire = 'topics' | 'rooms';

/** What is published: a number, and when. */
export interface FirePayload {
  readonly n: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** How a client came back after the end of a connection. Moments are milliseconds since 1970. */
export interface Return {
  /** Who ended the connection. */
  readonly endedBy: 'network' | 'server';
  readonly leftAt: number;
  /** When its subscription was there again. */
  readonly backAt: number;
  /** Attempts that failed though the network was there. */
  readonly refused: number;
  /** Whether the server says that nothing was missed. */
  readonly isRecovered: boolean;
  /** Messages that were published before the server had accepted the connection. */
  readonly missed: number;
  /** From the end of the client's own back-off until the last of these; without any, until the subscription was there. */
  readonly returnMs: number;
  /** The part of it from the moment in which the server had accepted the connection. */
  readonly replayMs: number;
}

/** A client that is coming back. */
interface Coming {
  readonly endedBy: Return['endedBy'];
  readonly leftAt: number;
  refused: number;
  missed: number;
  triedAt: number;
  accepted: { readonly at: number; readonly since: number } | undefined;
  lastMissedAt: number | undefined;
  subscribed: { readonly at: number; readonly since: number; readonly isRecovered: boolean } | undefined;
}

interface Status {
  readonly status: string;
  readonly details: {
    readonly session_id?: string;
    readonly recovered?: boolean;
    readonly topics?: readonly SubscribedTopic[];
  };
}

interface SubscribeAnswer {
  readonly ok: boolean;
  readonly topics?: readonly SubscribedTopic[];
}

type SubscribedTopic = Position & { readonly topic: string };

const retryMs = 1000;

/**
 * A stock client with its own reconnection and all its defaults, whose `auth` callback gives session and positions. What it receives is
 * checked at once and not kept: there are thousands in a process.
 */
export class FireClient {
  readonly check = new StreamCheck();
  readonly returns: Return[] = [];
  isReady = false;
  private readonly socket: Socket;
  private readonly receive: (n: number) => void;
  private coming: Coming | undefined;
  private sessionId: string | undefined;
  private position: Position | undefined;

  constructor(
    private readonly wire: FireWire,
    private readonly topic: string,
    private readonly link: ClientLink,
    token: string,
    plant?: Plant,
  ) {
    const receive = (n: number) => this.check.receive(n);
    this.receive = plant === undefined ? receive : plantIn(plant, receive);
    this.socket = io('http://127.0.0.1', {
      forceNew: true,
      transports: ['websocket'],
      // It is passed to Node's `http.request`, which takes an agent.
      agent: link as unknown as boolean,
      auth: (give) =>
        give({
          token,
          ...(wire === 'topics' && {
            session_id: this.sessionId,
            positions: this.position === undefined ? undefined : { [topic]: this.position },
          }),
        }),
    });
    const { socket } = this;
    socket.on('message', (message: Message) => this.onMessage(message));
    socket.on('gap', (gap: Position) => this.goOnAt(gap));
    socket.on('status', (status: Status) => this.onStatus(status));
    socket.on('connect', () => {
      if (wire === 'topics') return;
      if (socket.recovered) this.onSubscribed(true);
      else this.subscribe();
    });
    socket.on('connect_error', () => this.onRefused());
    socket.on('disconnect', () => this.onEnd());
    socket.io.on('reconnect_attempt', () => {
      if (this.coming !== undefined) this.coming.triedAt = performance.now();
    });
    socket.io.on('open', () => {
      if (this.coming !== undefined) this.coming.accepted = { at: Date.now(), since: performance.now() };
    });
  }

  /** Ends its connection, if it has one. */
  cut(forMs: number): void {
    if (this.isReady) this.link.cut(forMs);
  }

  stop(): void {
    this.finishReturn();
    this.socket.disconnect();
  }

  private onEnd(): void {
    this.finishReturn();
    this.isReady = false;
    this.coming = {
      endedBy: this.link.isHeld ? 'network' : 'server',
      leftAt: Date.now(),
      refused: 0,
      missed: 0,
      triedAt: performance.now(),
      accepted: undefined,
      lastMissedAt: undefined,
      subscribed: undefined,
    };
  }

  private onRefused(): void {
    if (this.link.isHeld) return;
    if (this.coming !== undefined) this.coming.refused++;
    // Refused by the server, not by the network: then the library does not try again by itself.
    if (!this.socket.active) setTimeout(() => this.socket.connect(), retryMs);
  }

  private onStatus({ status, details }: Status): void {
    this.sessionId = details.session_id ?? this.sessionId;
    if (status !== 'connected') return;
    const restored = details.topics?.find(({ topic }) => topic === this.topic);
    if (restored === undefined) this.subscribe();
    else {
      if (details.recovered !== true) this.goOnAt(restored);
      this.onSubscribed(details.recovered === true);
    }
  }

  private goOnAt({ epoch, sequence }: Position): void {
    this.position = { epoch, sequence };
  }

  private subscribe(): void {
    const { id } = this.socket;
    this.socket.emit('subscribe', { topics: [this.topic] }, ({ ok, topics }: SubscribeAnswer) => {
      const [subscribed] = topics ?? [];
      if (subscribed !== undefined) this.goOnAt(subscribed);
      if (ok && (this.wire === 'rooms' || subscribed !== undefined)) this.onSubscribed(false);
      else
        setTimeout(() => {
          if (this.socket.id === id) this.subscribe();
        }, retryMs);
    });
  }

  private onSubscribed(isRecovered: boolean): void {
    this.isReady = true;
    if (this.coming !== undefined)
      this.coming.subscribed = { at: Date.now(), since: performance.now(), isRecovered };
  }

  private onMessage(message: Message): void {
    const { n, at } = message.payload as FirePayload;
    this.goOnAt(message);
    this.receive(n);
    const { coming } = this;
    if (coming?.accepted === undefined) return;
    if (at <= coming.accepted.at) {
      coming.missed++;
      coming.lastMissedAt = performance.now();
    } else if (coming.subscribed !== undefined) this.finishReturn();
  }

  /** The return is complete: what comes now was published since. */
  private finishReturn(): void {
    const { coming } = this;
    this.coming = undefined;
    if (coming?.subscribed === undefined || coming.accepted === undefined) return;
    const { endedBy, leftAt, refused, missed, triedAt, accepted, subscribed } = coming;
    const lastAt = coming.lastMissedAt ?? subscribed.since;
    this.returns.push({
      endedBy,
      leftAt,
      backAt: subscribed.at,
      refused,
      isRecovered: subscribed.isRecovered,
      missed,
      returnMs: lastAt - triedAt,
      replayMs: lastAt - accepted.since,
    });
  }
}
