import { connectionOn, type ClientConnection } from '../client-connection.js';
import { closeReadLimitMs, closeReasons, pollingCloseTimeoutMs } from '../close-codes.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import {
  allowToClose,
  canClose,
  closeInOrder,
  cutOff,
  hasClosed,
} from '../engine-internals/moved-transport.js';
import { leave } from '../engine-internals/namespaces.js';
import { inboundOf } from '../inbound/inbound-of.js';
import { WsConnection } from '../ws/ws-connection.js';
import type { MovableClient } from './movable-client.js';

interface MovedClientDependencies {
  /** Publishes of this connection wait for no more confirmations. */
  readonly endWaitsOf: (connection: ClientConnection) => void;
  /** Called with a transport that is about to close. */
  readonly onClosing: (engine: EngineConnection) => void;
  readonly onFailure: (error: unknown) => void;
}

/** The libraries close by themselves after their time limit; the drain looks before, so that it counts what it has to cut off. */
const marginMs = 500;

/** The client of a transport of either wire; also one that has not joined, or only namespaces of the program. */
export class MovedClient implements MovableClient {
  private wasServed = false;

  constructor(
    private readonly engine: EngineConnection,
    private readonly dependencies: MovedClientDependencies,
  ) {}

  get isClosed(): boolean {
    return hasClosed(this.engine);
  }

  /** At two looks in a row: an answer is written at the end of the turn in which its command ends. */
  get isServed(): boolean {
    const { wasServed, engine } = this;
    this.wasServed = (inboundOf(engine)?.commandsUnderWay ?? 0) === 0 && canClose(engine);
    return wasServed && this.wasServed;
  }

  get closeLimitMs(): number {
    return this.engine.transport.name === 'polling' ? pollingCloseTimeoutMs - marginMs : closeReadLimitMs;
  }

  notify(closesInMs: number): void {
    const details = { reason: 'the replica is going to stop', closes_in_ms: closesInMs };
    connectionOn(this.engine)?.emit('status', { status: 'draining', details });
  }

  refuseCommands(): void {
    const connection = connectionOn(this.engine);
    if (connection === undefined) return;
    connection.isMoving = true;
    this.dependencies.endWaitsOf(connection);
  }

  close(): void {
    const { engine } = this;
    const { onClosing, onFailure } = this.dependencies;
    onClosing(engine);
    allowToClose(engine, closeReadLimitMs + marginMs);
    const socket = connectionOn(engine)?.socket;
    // In this turn: what the log delivers later belongs to the next replica, and its session says so.
    if (engine instanceof WsConnection) engine.end(closeReasons.draining);
    if (socket !== undefined) leave(socket, 'server shutting down', onFailure);
    if (!(engine instanceof WsConnection)) closeInOrder(engine, closeReasons.draining);
  }

  cutOff(): void {
    const socket = connectionOn(this.engine)?.socket;
    if (socket !== undefined) leave(socket, 'server shutting down', this.dependencies.onFailure);
    cutOff(this.engine);
  }
}
