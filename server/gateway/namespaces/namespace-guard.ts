import type { IncomingMessage } from 'node:http';
import type { Namespace, Server, Socket } from 'socket.io';
import { RefusalError } from '../../../shared/errors.js';
import type { ConnectEvent } from '../../hooks/hooks.js';
import type { Log } from '../../logging/log.js';
import type { Identity } from '../../protocol/identity.js';
import { programError, refusalOf } from '../../protocol/program-error.js';
import type { Release } from '../connection-attempt.js';
import { guardDynamicNamespaces, type NamespaceCandidate } from '../engine-internals/dynamic-namespaces.js';
import {
  guardMiddleware,
  useFirst,
  type NamespaceMiddleware,
} from '../engine-internals/namespace-middleware.js';
import { connectError } from '../handshake/connect-error.js';
import { tokenOfRequest, tokenOfSocket } from '../handshake/token.js';
import { setSocketUser } from '../socket-user.js';
import { holdUntilClosed, noLongerHeld } from './held-until-closed.js';
import type { JoiningSocket, NamespaceMembers } from './namespace-members.js';

interface NamespaceGuardDependencies {
  readonly members: NamespaceMembers;
  /** Verifies a token. @throws RefusalError */
  readonly authenticate: (token: string) => Identity;
  /** A token of the client of a transport was verified. */
  readonly onAuthenticated: (transport: Socket['conn']) => void;
  /** The identity of the client of the main namespace on the transport of a socket. Waits while it joins. */
  readonly mainIdentity: (socket: Pick<Socket, 'conn'>) => Promise<Identity | undefined>;
  /** Undefined if no hook is configured. */
  readonly onConnect: (event: ConnectEvent) => Promise<void> | undefined;
  /** Undefined if connections of users are not limited. */
  readonly acquireUserSlot: (transport: object, userId: string) => Promise<Release> | undefined;
  /** @throws RefusalError if a client with this identity may not connect now */
  readonly revalidate: (identity: Identity) => void;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
  readonly log: Log;
}

interface NamespaceGuardSettings {
  /** Namespaces that clients may join without a token. */
  readonly publicNamespaces: readonly (string | RegExp)[];
}

/** What a socket holds between its authentication and its connection. */
interface Authenticated extends JoiningSocket {
  release: Release | undefined;
}

/** Characters in the name of a dynamic namespace. */
const longestName = 256;

/** A frame of the package @socket.io/admin-ui in a stack trace. */
const adminUi = /@socket\.io[\\/]admin-ui[\\/]/;

/**
 * Authenticates the sockets of namespaces that a program adds. Without a valid token none is joined, except
 * those that the program has declared public, and that of Socket.IO's Admin UI, which has its own login.
 */
export class NamespaceGuard {
  private readonly authenticated = new WeakMap<Socket, Authenticated>();
  /** Sockets whose authentication is under way, so that it runs once. */
  private readonly running = new WeakMap<Socket, Promise<void>>();
  /** On the monotonic clock, in milliseconds. */
  private failureLoggedAt = -Infinity;

  constructor(
    private readonly dependencies: NamespaceGuardDependencies,
    private readonly settings: NamespaceGuardSettings,
  ) {}

  install(io: Server): void {
    this.watch(io.of('/'));
    io.on('new_namespace', (namespace: Namespace) => {
      this.watch(namespace);
      namespace.on('connection', (socket) => this.connected(socket));
      if (!this.isPublic(namespace.name) && !isMadeByAdminUi()) useFirst(namespace, this.middleware);
    });
    guardDynamicNamespaces(io, {
      checkName,
      admit: (candidate) => this.admit(candidate),
      refusal: (error, request) => {
        this.dependencies.onRefused(error, request);
        return connectError(error);
      },
    });
  }

  /** Refuses a socket without a valid token. A second call for the same socket does nothing. */
  readonly middleware: NamespaceMiddleware = (socket, next) => {
    let waiting = this.running.get(socket);
    if (waiting === undefined) {
      waiting = this.authorize(socket);
      this.running.set(socket, waiting);
    }
    waiting.then(
      () => next(),
      (error: unknown) => next(connectError(error)),
    );
  };

  private watch(namespace: Namespace): void {
    const onFailed = (thrown: unknown, socket: Socket) => {
      const error = programError(thrown);
      this.dependencies.onRefused(error, socket.request);
      this.logFailure(namespace.name, error);
      return connectError(error);
    };
    const sendable = (given: unknown, socket: Socket) =>
      canBeSent(given) ? (connectRefusal(given) ?? given) : onFailed(given, socket);
    guardMiddleware(namespace, onFailed, sendable, (socket) => this.refused(socket));
  }

  /** At most one line a second: clients that know how to make it fail must not fill the disk. */
  private logFailure(namespace: string, error: unknown): void {
    const now = performance.now();
    if (now - this.failureLoggedAt < 1000) return;
    this.failureLoggedAt = now;
    this.dependencies.log.error('Middleware failed', { namespace, error });
  }

  private isPublic(name: string): boolean {
    return this.settings.publicNamespaces.some((one) =>
      // `test` would go on where a global expression has stopped.
      typeof one === 'string' ? one === name : name.search(one) >= 0,
    );
  }

  private async authorize(socket: Socket): Promise<void> {
    // The main namespace has authenticated its sockets.
    if (socket.nsp.name === '/') return;
    const { members, acquireUserSlot, revalidate, onRefused } = this.dependencies;
    let held: Authenticated | undefined;
    try {
      const ofMain = await this.mainIdentity(socket);
      const identity = ofMain ?? this.authenticate(socket);
      held = { socket, identity, release: undefined };
      members.startJoining(held);
      // It was asked when the client joined the main namespace.
      if (ofMain === undefined) await this.askHook(held);
      held.release = await acquireUserSlot(socket.conn, identity.userId);
      revalidate(held.identity);
      this.authenticated.set(socket, held);
      const { release } = held;
      if (release !== undefined) holdUntilClosed(socket.conn, release);
      setSocketUser(socket, held.identity);
    } catch (error) {
      if (held !== undefined) members.endJoining(held);
      held?.release?.();
      onRefused(error, socket.request);
      throw error;
    }
  }

  /** A client without a valid token makes no namespace. Its socket is authenticated again once the namespace exists. */
  private async admit({ name, auth, conn, request }: NamespaceCandidate): Promise<void> {
    if (this.isPublic(name)) return;
    const { authenticate, mainIdentity } = this.dependencies;
    if (!hasToken(auth) && (await mainIdentity({ conn })) !== undefined) return;
    authenticate(tokenOfRequest(auth, request));
    this.dependencies.onAuthenticated(conn);
  }

  /** The identity of the client of the main namespace on the same transport, for a socket without a token of its own. */
  private async mainIdentity(socket: Socket): Promise<Identity | undefined> {
    return hasToken(socket.handshake.auth) ? undefined : this.dependencies.mainIdentity(socket);
  }

  /** By a token of its own, else by that of the handshake. */
  private authenticate(socket: Socket): Identity {
    const identity = this.dependencies.authenticate(tokenOfSocket(socket));
    this.dependencies.onAuthenticated(socket.conn);
    return identity;
  }

  private async askHook({ socket, identity: { userId, roles } }: JoiningSocket): Promise<void> {
    const { onConnect, addressOf } = this.dependencies;
    const address = addressOf(socket.request);
    await onConnect({ userId, roles, address, wire: 'socketio', namespace: socket.nsp.name });
  }

  /** Middleware of the program has refused a socket after its authentication. */
  private refused(socket: Socket): void {
    const held = this.authenticated.get(socket);
    if (held === undefined) return;
    this.authenticated.delete(socket);
    this.dependencies.members.endJoining(held);
    releaseSlot(socket, held);
  }

  private connected(socket: Socket): void {
    const held = this.authenticated.get(socket);
    if (held === undefined) return;
    this.authenticated.delete(socket);
    const { members, revalidate, onRefused } = this.dependencies;
    members.endJoining(held);
    socket.on('disconnect', () => {
      members.delete(socket);
      releaseSlot(socket, held);
    });
    const member = members.add(socket, held.identity);
    try {
      // Middleware of the program took its time.
      revalidate(held.identity);
    } catch (error) {
      onRefused(error, socket.request);
      const reason = error instanceof RefusalError ? error : new RefusalError('internal', 'internal error');
      member.disconnect(reason);
    }
  }
}

function hasToken({ token }: Readonly<Record<string, unknown>>): boolean {
  return token !== undefined && token !== null && token !== '';
}

/** Whether Socket.IO can send an error that middleware gives to `next`: it encodes these two, and an exception there ends the program. */
function canBeSent(given: unknown): given is Error {
  try {
    const { message, data } = given as Partial<Error & { readonly data: unknown }>;
    JSON.stringify([message, data]);
    return true;
  } catch {
    return false;
  }
}

/** A refusal given to `next` is sent as one that is thrown. */
function connectRefusal(given: unknown): Error | undefined {
  const refusal = refusalOf(given);
  return refusal && connectError(refusal);
}

/** @throws RefusalError `invalid_message` */
function checkName({ length: size }: string): void {
  if (size <= longestName) return;
  const text = `the name of a namespace may have ${longestName} characters`;
  throw new RefusalError('invalid_message', text, { field: 'namespace', limit: longestName, size });
}

function releaseSlot({ conn }: Socket, { release }: Authenticated): void {
  if (release === undefined) return;
  noLongerHeld(conn, release);
  release();
}

/** Whether the namespace that was just created is that of Socket.IO's Admin UI: its `instrument` creates it. */
function isMadeByAdminUi(): boolean {
  return adminUi.test(new Error().stack ?? '');
}
