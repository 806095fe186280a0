import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Requests of one TCP connection that may be under way at the same time. HTTP pipelining is rare, and a client that sends a thousand requests
 * in one packet would have them all run at once.
 */
const requestsPerConnection = 16;
/** Requests of one caller that may wait behind earlier ones on all its connections. Each takes some KiB meanwhile. */
const waitingPerCaller = 1000;

interface PipelinedRequest {
  readonly request: IncomingMessage;
  readonly caller: string;
  readonly start: () => void;
}

/** The requests under way on a connection, in their order. The first one is handled, the others wait. */
const pipeline = Symbol('requests under way');

/**
 * Handles the requests of each TCP connection one at a time: what others are answered would wait in memory until the client reads. Bounds
 * how many there are.
 */
export class Pipelines {
  /** Requests that wait behind earlier ones, by caller. */
  private readonly waiting = new Map<string, number>();

  /** Whether there may be one more request on its connection. Otherwise the connection is closed. */
  admit({ socket }: IncomingMessage, caller: string): boolean {
    // Requests that were read together with the one that closed the connection.
    if (isClosing(socket)) return false;
    const { length } = requestsOf(socket);
    const isFull =
      length >= requestsPerConnection || (length > 0 && (this.waiting.get(caller) ?? 0) >= waitingPerCaller);
    if (!isFull) return true;
    // Otherwise Node would make an error with a stack for each of them, which takes longer than all else about this connection.
    for (const { request } of requestsOf(socket)) request.destroy();
    socket.destroy();
    this.forget(socket);
    return false;
  }

  /** Starts an admitted request, when the earlier ones of its connection are {@link done}. */
  add(request: IncomingMessage, caller: string, start: () => void): void {
    const requests = requestsOf(request.socket);
    requests.push({ request, caller, start });
    if (requests.length === 1) start();
    else this.count(caller, 1);
  }

  /** The first request of a connection has been answered, or the connection has closed. */
  done(socket: Socket): void {
    if (isClosing(socket)) {
      this.forget(socket);
      return;
    }
    const requests = requestsOf(socket);
    requests.shift();
    const [next] = requests;
    if (next === undefined) return;
    this.count(next.caller, -1);
    next.start();
  }

  private forget(socket: Socket): void {
    for (const { caller } of requestsOf(socket).splice(0).slice(1)) this.count(caller, -1);
  }

  private count(caller: string, change: number): void {
    const count = (this.waiting.get(caller) ?? 0) + change;
    if (count > 0) this.waiting.set(caller, count);
    else this.waiting.delete(caller);
  }
}

/** Whether it closes, perhaps when what has been written has been sent: a request that is handled then is never answered. */
function isClosing({ destroyed, writable }: Socket): boolean {
  return destroyed || !writable;
}

function requestsOf(socket: Socket & { [pipeline]?: PipelinedRequest[] }): PipelinedRequest[] {
  return (socket[pipeline] ??= []);
}
