import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Wire } from '../protocol/connection.js';
import type { Identity } from '../protocol/identity.js';
import type { OpenedSession } from '../sessions/session-service.js';

/** Gives back something that was acquired; harmless when called again. */
export type Release = () => void;

/** What a client brings along, each part read when its step comes. */
export interface ClientCredentials {
  /** @throws RefusalError `unauthorized` if there is no token */
  token(): string;
  /** The session to resume, unchecked. */
  readonly sessionId: unknown;
  /** Positions of the session's topics, unchecked. */
  readonly positions: unknown;
}

/** A client on its way through the steps of the {@link import('./connection-pipeline.js').ConnectionPipeline}. */
export class ConnectionAttempt {
  /** Set by the step `authenticate`. */
  identity: Identity | undefined;
  /** Set by the step `session`. */
  session: OpenedSession | undefined;
  /** Another attempt has taken its place. */
  isSuperseded = false;
  private releaseSlot: Release | undefined;

  constructor(
    readonly wire: Wire,
    readonly request: IncomingMessage,
    readonly address: string,
    readonly credentials: ClientCredentials,
    /** Emits `close` when the client goes away before it is connected. */
    private readonly transport: EventEmitter,
  ) {}

  /** Whether there is something to release. */
  get holds(): boolean {
    return this.releaseSlot !== undefined;
  }

  /** Keeps a slot until {@link release}, or until the transport closes. */
  hold(release: Release): void {
    const { transport } = this;
    this.releaseSlot = () => {
      this.releaseSlot = undefined;
      transport.off('close', this.release);
      release();
    };
    transport.on('close', this.release);
  }

  /** Another attempt on the same transport takes the place of this one, which may not connect any more. */
  supersede(): void {
    this.isSuperseded = true;
    this.release();
  }

  /** Gives back what the attempt holds. */
  readonly release = (): void => this.releaseSlot?.();
}
