import type { Socket } from 'socket.io';
import { toWireError, type WireError } from '../../../shared/errors.js';
import { isHandledByProgram } from '../engine-internals/program-listeners.js';
import { engineOf } from '../engine-internals/engine-connection.js';
import { textFrame } from '../../fanout/frames.js';
import { exactRequest, replyInPieces } from '../engine-internals/exact-parser.js';
import { afterMiddleware } from '../engine-internals/packet-tap.js';
import { inboundOf } from '../inbound/inbound-of.js';
import type { Log } from '../../logging/log.js';

type Answer = object & { readonly error?: WireError };

/** A Socket.IO acknowledgement callback. */
type Reply = (answer: object) => void;

export interface CommandListenerDependencies {
  /** Runs one command and resolves to its answer, never rejecting. */
  readonly run: (socket: Socket, name: string, request: unknown) => Promise<Answer>;
  readonly log: Log;
}

/**
 * The listener that all sockets share: every event is a command, answered through its acknowledgement, or by an `error` event when it has
 * none. Events that an embedding program listens to are left to the program.
 */
export class CommandListener {
  constructor(private readonly dependencies: CommandListenerDependencies) {}

  attach(socket: Socket): void {
    socket.onAny(this.onEvent);
  }

  /** Attaches again where a program has called `socket.offAny()`, which removes all listeners of its kind. */
  keepAttached(socket: Socket): void {
    if (!socket.listenersAny().includes(this.onEvent)) this.attach(socket);
  }

  // `this` is the socket.
  private readonly onEvent = ((listener: CommandListener) =>
    function (this: Socket, event: unknown, ...args: unknown[]): void {
      const answer = (content: unknown[]) => {
        // Of a packet without a content, only the acknowledgement is here.
        const [name = '', ...rest] = typeof content[0] === 'function' ? ['', ...content] : content;
        listener.answer(this, String(name), rest);
      };
      if (!afterMiddleware(this, answer)) answer([event, ...args]);
    })(this);

  private answer(socket: Socket, name: string, args: unknown[]): void {
    const { run, log } = this.dependencies;
    const last = args[args.length - 1];
    const reply = typeof last === 'function' ? (last as Reply) : undefined;
    if (reply !== undefined) args.pop();
    if (isHandledByProgram(socket, name)) return;
    const fields = { connection_id: socket.id, command: name };
    const inbound = inboundOf(engineOf(socket));
    const bytes = inbound?.commandBytes ?? 0;
    inbound?.commandStarted(bytes);
    run(socket, name, exactRequest(args[0]))
      .catch((error: unknown) => {
        log.error('Command failed', { ...fields, error });
        return { ok: false, error: toWireError(error) };
      })
      .then(
        (answer: Answer) => {
          inbound?.commandEnded(bytes);
          // Later packets of the transport may belong to another connection.
          if (!socket.connected) return;
          if (answer.error !== undefined) inbound?.refused(answer.error.code, bytes);
          if (reply !== undefined) replyOn(socket, reply, answer);
          else if (answer.error !== undefined) socket.emit('error', answer.error);
        },
        (error: unknown) => log.error('Answer failed', { ...fields, error }),
      );
  }
}

/** On a WebSocket, stored messages in an answer are sent as the bytes that they are. */
function replyOn(socket: Socket, reply: Reply, answer: Answer): void {
  const engine = engineOf(socket);
  if (engine.transport.name !== 'websocket') {
    reply(answer);
    return;
  }
  replyInPieces(
    (pieces) => engine.write('', { compress: false, wsPreEncodedFrame: [textFrame(['4', ...pieces])] }),
    () => reply(answer),
  );
}
