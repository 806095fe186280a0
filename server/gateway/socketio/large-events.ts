import { RefusalError, type WireError } from '../../../shared/errors.js';
import type { ClientConnection } from '../client-connection.js';
import { isUnobserved } from '../engine-internals/packet-tap.js';
import type { ReplyWriter } from './reply-writer.js';

/** `2<id>["name",…`: an event of the main namespace without binary parts. */
const eventPacket = /^2(\d*)\["([^"\\]{1,100})"/;

interface LargeEventsDependencies {
  /** Counts a refusal; it passes the limits like a command. Never rejects. */
  readonly refuse: (connection: ClientConnection, error: RefusalError) => Promise<WireError>;
  readonly replies: Pick<ReplyWriter, 'add'>;
}

/** Refuses events that are larger than any command, before they are parsed. Those that a program listens to are left to it. */
export class LargeEvents {
  constructor(
    private readonly dependencies: LargeEventsDependencies,
    private readonly settings: { readonly limitBytes: number; readonly maxMessageBytes: number },
  ) {}

  /** True if the packet is such an event; it is answered. */
  take(connection: ClientConnection, packet: string): boolean {
    const { length } = packet;
    if (length <= this.settings.limitBytes) return false;
    const [, packetId, name] = eventPacket.exec(packet) ?? [];
    const { socket } = connection;
    if (name === undefined || !isUnobserved(socket) || socket.listenerCount(name) > 0) return false;
    const { maxMessageBytes: limit } = this.settings;
    const refusal = new RefusalError(
      'message_too_large',
      `the packet has ${length} characters; a payload may have ${limit} bytes`,
      { limit, size: length },
    );
    const { inbound } = connection;
    inbound?.commandStarted(length);
    void this.dependencies.refuse(connection, refusal).then((error) => {
      inbound?.commandEnded(length);
      inbound?.refused(error.code, length);
      if (!socket.connected) return;
      if (packetId === '') connection.emit('error', error);
      else
        this.dependencies.replies.add(
          connection.outbox,
          `3${packetId}[${JSON.stringify({ ok: false, error })}]`,
        );
    });
    return true;
  }
}
