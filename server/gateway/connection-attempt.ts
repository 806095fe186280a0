import type { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Wire } from '../protocol/connection.js';
import type { Identity } from '../protocol/identity.js';
import type { OpenedSession } from '../sessions/opened-session.js';

/** Releases an acquired slot; further calls do nothing. */
export type Release = () => void;

/** Credentials of a client. Each part is read in the step that needs it. */
interface ClientCredentials {
  /** @throws RefusalError `unauthorized` if there is no token */
  token(): string;
  /** The session to resume, not validated yet. */
  readonly sessionId: unknown;
  /** Positions of the session's topics, not validated yet. */
  readonly positions: unknown;
}

/**
 * A client that is passing through the steps of the
 * {@link import('./connection-pipeline.js').ConnectionPipeline}.
 */
export class ConnectionAttempt {
  /** Set by the step `authenticate`. */
  identity: Identity | undefined;
  /** Set by the step `session`. */
  session: OpenedSession | undefined;
  /** Another attempt has taken its place. */
  isSuperseded = false;
  private slot: Release | undefined;
  private inbox: Release | undefined;
  private given: ClientCredentials | undefined;

  constructor(
    readonly wire: Wire,
    readonly request: IncomingMessage,
    readonly address: string,
    credentials: ClientCredentials,
    /** Emits `close` if the client disconnects before it is connected. */
    readonly transport: EventEmitter,
  ) {
    this.given = credentials;
  }

  /** Only until the attempt is authorized or refused. */
  get credentials(): ClientCredentials {
    if (this.given === undefined) throw new Error('the credentials of this attempt were used before');
    return this.given;
  }

  /** The token and the positions are not kept for the life of the connection. */
  forgetCredentials(): void {
    this.given = undefined;
  }

  /** Whether there is a slot to release. */
  get holds(): boolean {
    return this.slot !== undefined;
  }

  /** Keeps a slot until {@link release}, or until the transport closes. */
  hold(release: Release): void {
    this.watchTransport();
    this.slot = release;
  }

  /** Keeps the inbox of the user open until {@link releaseInbox} or {@link release}, or until the transport closes. */
  holdInbox(release: Release): void {
    this.watchTransport();
    this.inbox = release;
  }

  /** Another attempt on the same transport takes the place of this one, which may not connect any more. */
  supersede(): void {
    this.isSuperseded = true;
    this.release();
  }

  /** The connection keeps the inbox open itself. */
  releaseInbox(): void {
    const { inbox, slot, transport } = this;
    this.inbox = undefined;
    if (slot === undefined) transport.off('close', this.release);
    inbox?.();
  }

  /** Releases the slot and the inbox, if the attempt has them. */
  readonly release = (): void => {
    const { slot } = this;
    this.slot = undefined;
    this.releaseInbox();
    slot?.();
  };

  private watchTransport(): void {
    if (this.slot === undefined && this.inbox === undefined) this.transport.on('close', this.release);
  }
}
