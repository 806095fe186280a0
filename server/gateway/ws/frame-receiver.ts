import { toWireError, type ErrorCode, type RefusalError } from '../../../shared/errors.js';
import type { CommandRouter } from '../../commands/router.js';
import type { RequestSizes } from '../../commands/request-sizes.js';
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
      readonly router: Pick<CommandRouter, 'commandOfFrame' | 'refuseFrame'>;
      readonly sizes: RequestSizes;
      readonly log: Log;
    },
    private readonly settings: FrameSettings,
  ) {}

  /** Starts with the frames that arrived before the client got its `Status`. */
  receive(transport: WsConnection, connection: ClientConnection): void {
    const { commands, router, sizes, log } = this.dependencies;
    const { inbound } = connection;
    const target = {
      sizes,
      commandOfFrame: (type: string) => router.commandOfFrame(type),
      run: (command: string, request: unknown) => commands.run(connection, command, request),
      refuse: (error: RefusalError) => router.refuseFrame(connection, error),
      acknowledge: (messageId: string) => {
        // Neither this answer nor an error passes the queue of commands.
        commands.waitForReader(connection);
        return connection.acknowledged(messageId);
      },
      send: (frame: object) => transport.writeJson(frame),
    };
    const onFailure = (error: unknown): ErrorCode => {
      log.error('Frame failed', { connection_id: connection.id, error });
      target.send({ type: 'Error', data: toWireError(error) });
      return 'internal';
    };
    transport.receive((content, isBinary) => {
      const bytes = content.length;
      inbound?.commandStarted(bytes);
      void handleFrame(content, isBinary, target, this.settings)
        .catch(onFailure)
        .then((code) => {
          inbound?.commandEnded(bytes);
          if (code === undefined) return;
          inbound?.refused(code, bytes);
          commands.waitForReader(connection);
        });
    });
  }
}
