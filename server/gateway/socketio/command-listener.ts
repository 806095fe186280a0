import type { Socket } from 'socket.io';
import { toWireError } from '../../../shared/errors.js';
import type { Log } from '../../logging/log.js';

/** A Socket.IO acknowledgement callback. */
type Reply = (answer: object) => void;

/** Runs one command and resolves to its answer. Never rejects. */
type RunCommand = (socket: Socket, name: string, request: unknown) => Promise<object>;

/**
 * Makes the listener that all sockets share. Each event is a command, answered through its acknowledgement,
 * or by an `error` event if it has none.
 */
export function commandListener(
  run: RunCommand,
  log: Log,
): (this: Socket, event: unknown, ...args: unknown[]) => void {
  return function (event, ...args) {
    const last = args[args.length - 1];
    const reply = typeof last === 'function' ? (last as Reply) : undefined;
    if (reply !== undefined) args.pop();
    const name = String(event);
    // Events of the embedding application are not commands.
    if (this.listenerCount(name) > 0) return;
    run(this, name, args[0])
      .catch((error: unknown) => {
        log.error('Command failed', { connection_id: this.id, command: name, error });
        return { ok: false, error: toWireError(error) };
      })
      .then(
        (answer) => {
          if (reply !== undefined) reply(answer);
          else if ('error' in answer) this.emit('error', answer.error);
        },
        (error: unknown) => log.error('Answer failed', { connection_id: this.id, command: name, error }),
      );
  };
}
