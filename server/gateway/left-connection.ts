import type { Socket } from 'socket.io';
import type { Identity } from '../protocol/identity.js';
import type { Connection, Wire } from '../protocol/connection.js';
import type { ClientConnection } from './client-connection.js';
import { closeTransport } from './engine-internals/namespaces.js';

/**
 * A client that has left the main namespace and goes on in a namespace of the embedding program, on the same transport. It is kept for its
 * identity: when its token is revoked or expires, the transport is closed.
 */
export class LeftConnection implements Connection {
  readonly id: string;
  readonly wire: Wire;
  readonly sessionId: string;
  readonly address: string;
  readonly connectedAt: number;
  readonly isClosed = true;
  identity: Identity;
  private readonly socket: Socket;

  constructor({ id, wire, sessionId, address, connectedAt, identity, socket }: ClientConnection) {
    this.id = id;
    this.wire = wire;
    this.sessionId = sessionId;
    this.address = address;
    this.connectedAt = connectedAt;
    this.identity = identity;
    this.socket = socket;
  }

  emit(): void {}

  disconnect(): void {
    closeTransport(this.socket);
  }
}
