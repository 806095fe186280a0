import type { Position } from '../../../shared/position.js';

/**
 * How a client talks to the service. `upgrade` begins with polling and goes on with a WebSocket, as browsers do; `http`
 * only publishes.
 */
export type WireKind = 'websocket' | 'polling' | 'upgrade' | 'json' | 'http';

/** An answer of a command, with the fields that clients of a run read. */
export interface WireAnswer {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly retry_after_ms?: number };
  readonly id?: string;
  readonly epoch?: string;
  readonly sequence?: number;
  readonly durability?: string;
  readonly duplicate?: boolean;
  readonly delivered?: number;
  readonly expected?: number;
  readonly [field: string]: unknown;
}

/** A subscription as `subscribe` and `status` describe it. */
export interface WireSubscription extends Position {
  readonly topic: string;
  readonly recovered?: boolean;
  readonly missed?: number;
}

/** What a wire calls. */
export interface WireHandlers {
  /**
   * An event of the service, under its Socket.IO name; `unreadable` for what is no frame. `acknowledge` confirms a
   * message.
   */
  onEvent(event: string, data: Record<string, unknown>, acknowledge: () => void): void;
  /** The connection is over, or could not be made. Called once. */
  onEnd(reason: string): void;
}

/** One connection to the service. */
export interface Wire {
  /** Resolves to undefined if the connection ends first. */
  call(command: string, request: Record<string, unknown>): Promise<WireAnswer | undefined>;
  /** Reads nothing for a while. */
  pauseReading(forMs: number): void;
  /** Ends without a farewell. */
  abort(): void;
}

/** What a client says of itself when it connects. */
export interface WireOpening {
  readonly port: number;
  readonly token: string;
  readonly sessionId?: string;
}

/** Opens a connection. */
export type OpenWire = (kind: WireKind, opening: WireOpening, handlers: WireHandlers) => Wire;
