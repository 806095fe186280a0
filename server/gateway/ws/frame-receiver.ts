import { toWireError } from '../../../shared/errors.js';
import type { CommandRouter } from '../../commands/router.js';
import type { Log } from '../../logging/log.js';
import type { ClientConnection } from '../client-connection.js';
import type { CommandQueue } from '../command-queue.js';
import { handleFrame, type FrameSettings } from './client-frames.js';
import type { WsConnection } from './ws-connection.js';

/** Runs the frames that `/ws` clients send. */
export class FrameReceiver {
  constructor(
    private readonly dependencies: {
      readonly commands: CommandQueue;
      readonly router: Pick<CommandRouter, 'commandOfFrame'>;
      readonly log: Log;
    },
    private readonly settings: FrameSettings,
  ) {}

  /** Starts with the frames that arrived before the client got its `Status`. */
  receive(transport: WsConnection, connection: ClientConnection): void {
    const { commands, router, log } = this.dependencies;
    const target = {
      commandOfFrame: (type: string) => router.commandOfFrame(type),
      run: (command: string, request: unknown) => commands.run(connection, command, request),
      acknowledge: (messageId: string) => connection.acknowledged(messageId),
      send: (frame: object) => transport.writeJson(frame),
    };
    transport.receive((content, isBinary) => {
      handleFrame(content, isBinary, target, this.settings).catch((error: unknown) => {
        log.error('Frame failed', { connection_id: connection.id, error });
        transport.writeJson({ type: 'Error', data: toWireError(error) });
      });
    });
  }
}
