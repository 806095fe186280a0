import type { Socket } from 'socket.io';
import type { RefusalError } from '../../../shared/errors.js';
import type { ServerEvent } from '../../protocol/connection.js';
import type { Identity } from '../../protocol/identity.js';
import { closeIfUnused, socketsBeside } from '../engine-internals/namespaces.js';
import { setSocketUser } from '../socket-user.js';

/** An authenticated socket of a namespace of the program. */
export class NamespaceMember {
  constructor(
    readonly socket: Socket,
    private current: Identity,
  ) {}

  get id(): string {
    return this.socket.id;
  }

  get identity(): Identity {
    return this.current;
  }

  set identity(identity: Identity) {
    this.current = identity;
    setSocketUser(this.socket, identity);
  }

  emit(event: ServerEvent, data: unknown): void {
    this.socket.emit(event, data);
  }

  /** Sends the reason and ends this socket. Other sockets of the transport may belong to another user. */
  disconnect(reason: RefusalError): void {
    this.socket.emit('error', reason.toWire());
    this.socket.disconnect();
    closeIfUnused(this.socket);
  }
}

/** A socket that is authenticated, while middleware of the program decides whether it joins. */
export interface JoiningSocket {
  readonly socket: Socket;
  identity: Identity;
}

/**
 * The authenticated sockets in namespaces of the program, so that revocations, the expiry of tokens and the
 * disconnects of operators reach them.
 */
export class NamespaceMembers {
  private readonly members = new Map<Socket, NamespaceMember>();
  /** By transport. */
  private readonly joining = new WeakMap<Socket['conn'], Set<JoiningSocket>>();

  /** A socket is authenticated. A new token of its client counts for it too, until {@link endJoining}. */
  startJoining(one: JoiningSocket): void {
    const { conn } = one.socket;
    const known = this.joining.get(conn);
    if (known === undefined) this.joining.set(conn, new Set([one]));
    else known.add(one);
  }

  /** It has joined, or was refused. */
  endJoining(one: JoiningSocket): void {
    const { conn } = one.socket;
    const known = this.joining.get(conn);
    if (known?.delete(one) === true && known.size === 0) this.joining.delete(conn);
  }

  add(socket: Socket, identity: Identity): NamespaceMember {
    const member = new NamespaceMember(socket, identity);
    this.members.set(socket, member);
    return member;
  }

  delete(socket: Socket): void {
    this.members.delete(socket);
  }

  all(): Iterable<NamespaceMember> {
    return this.members.values();
  }

  /** The client of a socket has a new token: its sockets on the same transport get the new identity, also those that are joining. */
  refreshed(main: Socket, identity: Identity): void {
    for (const one of this.joining.get(main.conn) ?? []) {
      if (one.identity.userId !== identity.userId) continue;
      one.identity = identity;
      setSocketUser(one.socket, identity);
    }
    for (const socket of socketsBeside(main)) {
      const member = this.members.get(socket);
      if (member?.identity.userId === identity.userId) member.identity = identity;
    }
  }
}
