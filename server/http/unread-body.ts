import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { BodyBudget, HeldBody } from '../limits/body-budget.js';
import { systemClock } from '../primitives/clock.js';
import { LateBodies } from './late-bodies.js';
import { RoomQueue, type WaitingConnection } from './room-queue.js';

/** What {@link UnreadBody} needs of the service. */
export interface UnreadBodiesDependencies {
  /** Takes nothing more from a connection that is being closed. */
  readonly takeNothingMore: (socket: Socket) => void;
  /** Closes a connection whose body has not arrived when its request has been answered for a while. */
  readonly cut: (socket: Socket) => void;
  /** Stops and starts reading a connection: what its client sends meanwhile waits in the kernel. */
  readonly reading: {
    /** False if it is not read anyway. */
    readonly hold: (socket: Socket) => boolean;
    readonly start: (socket: Socket) => void;
    /** Whether its client has reset it. Nothing else says so while it is not read. */
    readonly hasGone: (socket: Socket) => boolean;
  };
  /** Whether new connections come turn after turn. */
  readonly connections: { readonly isPressed: boolean };
  /** Where what is thrown away of bodies is counted. */
  readonly bodies: Pick<BodyBudget, 'open' | 'isOver'>;
  /** Whether a proxy has sent a request: its next one on the same connection may be of another client. */
  readonly isForwarded: (request: IncomingMessage) => boolean;
}

/**
 * A body that is still arriving when its request has been answered is awaited for this time, in milliseconds, unless it waits for room. Closing at once would
 * keep the client from reading the answer.
 */
const awaitedMs = 1000;
/** And no more of it than this is read, in bytes. A client that has sent less may send its next request on the same connection. */
const awaitedBytes = 4 * 2 ** 20;
/** While new connections come turn after turn, it is not read at all, and looked at again after so many milliseconds. */
const pressureCheckMs = 100;
/** What is announced with less, in bytes, is thrown away uncounted, as the head of a request is, which may be larger: a client need not wait for room. */
const smallBytes = 4096;

/** What the bodies of all connections have in common. */
export interface UnreadBodies extends UnreadBodiesDependencies {
  readonly awaited: LateBodies;
  readonly room: RoomQueue;
}

/** To be called once for each server. */
export function unreadBodies(dependencies: UnreadBodiesDependencies): UnreadBodies {
  const { bodies, connections } = dependencies;
  const isOver = (caller: string) => connections.isPressed || bodies.isOver(caller);
  return {
    ...dependencies,
    awaited: new LateBodies(),
    room: new RoomQueue({ clock: systemClock, isOver }),
  };
}

/**
 * What comes of a body that no route reads, before its request has been answered and afterwards. It is thrown away, and counts in the share of its caller: one
 * who sends ever new bodies that are refused would fill memory with it, until it is collected.
 */
export class UnreadBody implements WaitingConnection {
  /**
   * - `read`: its connection is read.
   * - `waiting`: it is not read until there is room again.
   * - `dropped`: there is no room, and a proxy has sent it. The rest is dropped, and does not count.
   * - `stopped`: nothing more is taken, and the connection closes soon.
   */
  private state: 'read' | 'waiting' | 'dropped' | 'stopped' = 'read';
  private readonly isSmall: boolean;
  /** Its end does not come, however long it is awaited. */
  private readonly isTooLong: boolean;
  /** Bytes that came before the answer: a route might have read them. */
  private early = 0;
  private counted = 0;
  private account: HeldBody | undefined;
  private isWatched = false;
  private isAwaited = false;
  private closing: NodeJS.Timeout | undefined;
  private waitsFrom: number | undefined;

  constructor(
    private readonly dependencies: UnreadBodies,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    /** In whose share it counts. */
    private readonly caller: string,
  ) {
    const announced = Number(request.headers['content-length']);
    this.isSmall = announced < smallBytes;
    this.isTooLong = announced > awaitedBytes;
  }

  /** Called with the size of each piece. False: it is dropped. */
  admit(bytes: number): boolean {
    const { request, response } = this;
    if (this.isSmall || isRead(request)) return true;
    if (response.writableFinished) return this.count(bytes);
    this.early += bytes;
    return true;
  }

  /** To be called when the request has been answered. Whether its body is still to come, and no route reads it. */
  answered(): boolean {
    const { awaited, connections, cut } = this.dependencies;
    const { request } = this;
    if (this.early > 0 && !request.readableDidRead) this.count(this.early);
    if (request.complete || isRead(request)) {
      // Also where its end is never told.
      if (this.isWatched) this.closeSoon();
      return false;
    }
    if (!awaited.begin(this.caller)) {
      cut(request.socket);
      return true;
    }
    this.isAwaited = true;
    this.watchEnd();
    this.closeSoon();
    if (connections.isPressed) this.readLater();
    return true;
  }

  /** Takes nothing more of its connection, which is to be closed. */
  stop(): void {
    this.state = 'stopped';
    nowAndLater(() => this.dependencies.takeNothingMore(this.request.socket));
  }

  get waitsSince(): number {
    return this.waitsFrom ?? 0;
  }

  hasLeft(): boolean {
    const { reading } = this.dependencies;
    const { socket } = this.request;
    if (this.state === 'waiting' && !socket.destroyed && reading.hasGone(socket)) socket.destroy();
    return this.state !== 'waiting' || socket.destroyed;
  }

  goOn(): void {
    const { socket, complete } = this.request;
    this.state = 'read';
    // Its rest may have come long ago, and wait in the kernel.
    if (!complete) this.closeSoon();
    this.dependencies.reading.start(socket);
  }

  close(): void {
    const { socket, complete } = this.request;
    if (complete) socket.destroySoon();
    else this.dependencies.cut(socket);
  }

  /** Counts bytes that are thrown away. False: they are dropped. */
  private count(bytes: number): boolean {
    this.watchEnd();
    this.counted += bytes;
    const isAdmitted = this.charge(bytes);
    if (!isAdmitted) this.discard();
    if (this.counted > awaitedBytes || (!isAdmitted && this.isTooLong)) this.stopSoon();
    else if (!isAdmitted) this.waitForRoom();
    return isAdmitted && this.counted <= awaitedBytes;
  }

  private charge(bytes: number): boolean {
    // Thousands of pieces may be left of what has been read: an error for each would take longer than all else.
    if (this.state === 'waiting' || this.state === 'dropped') return false;
    this.account ??= this.dependencies.bodies.open(this.caller);
    try {
      this.account.add(bytes);
      return true;
    } catch {
      return false;
    }
  }

  private discard(): void {
    this.account?.discard();
    this.account = undefined;
  }

  /** Read at once, the connection of who sends ever new bodies that are refused would fill memory as fast as it can send. */
  private waitForRoom(): void {
    const { room, reading, isForwarded } = this.dependencies;
    const { request } = this;
    const { socket } = request;
    if (this.state === 'dropped' || this.state === 'stopped') return;
    if (this.state === 'waiting') {
      // An earlier request of its connection has had it read again.
      reading.hold(socket);
      return;
    }
    // The next request of a proxy may be of another client, and on its way already: it can neither wait nor be closed for the room of this one.
    if (isForwarded(request)) {
      this.state = 'dropped';
      return;
    }
    this.state = 'waiting';
    // Over all its waits: where room comes and goes, a connection whose client has ended it would be kept for minutes.
    this.waitsFrom ??= systemClock.now();
    nowAndLater(() => {
      if (this.state === 'waiting' && !socket.destroyed) reading.hold(socket);
    });
    if (room.wait(this.caller, this)) return;
    if (request.complete) this.close();
    else this.stopSoon();
  }

  private stopSoon(): void {
    this.stop();
    this.closeSoon();
  }

  /** While new connections come turn after turn. */
  private readLater(): void {
    const { reading, connections } = this.dependencies;
    const { request } = this;
    const { socket } = request;
    nowAndLater(() => {
      if (!request.complete) reading.hold(socket);
    });
    const look = () => {
      if (socket.destroyed || this.state === 'stopped') return;
      if (connections.isPressed) lookLater();
      else if (this.state !== 'waiting') reading.start(socket);
    };
    const lookLater = () => setTimeout(look, pressureCheckMs).unref();
    lookLater();
  }

  private closeSoon(): void {
    const { cut } = this.dependencies;
    const { request } = this;
    this.closing ??= setTimeout(() => {
      this.closing = undefined;
      if (request.socket.destroyed) return;
      // A connection of which nothing more is taken would never answer a next request, also where its body has come to its end.
      if (this.state === 'stopped' || (!request.complete && this.state !== 'waiting')) cut(request.socket);
      // A route that has read a part of it, and paused, keeps its end from being told.
      else if (request.complete) this.over();
    }, awaitedMs).unref();
  }

  private watchEnd(): void {
    if (this.isWatched) return;
    this.isWatched = true;
    const { request } = this;
    request.on('end', this.over);
    request.socket.on('close', this.over);
  }

  /** The body has come to its end, or its connection has closed. Leaves no listener on a connection with more requests. */
  private readonly over = (): void => {
    const { request } = this;
    request.off('end', this.over);
    request.socket.off('close', this.over);
    this.discard();
    if (this.state !== 'stopped') clearTimeout(this.closing);
    if (this.isAwaited) {
      this.isAwaited = false;
      this.dependencies.awaited.end(this.caller);
    }
  };
}

/** Whether a route reads a body at present: as a stream that flows, or, as `for await` and `pipeline` do, when something can be read. */
function isRead(request: IncomingMessage): boolean {
  return request.listenerCount('data') > 0 || request.listenerCount('readable') > 0;
}

/** Stops reading a connection now, and once more when Node has begun to throw away a body that was answered: it starts to read again then. */
function nowAndLater(stopReading: () => void): void {
  stopReading();
  setImmediate(stopReading);
}
