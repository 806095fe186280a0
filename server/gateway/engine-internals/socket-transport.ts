import type { Socket } from 'socket.io';
import type { DeliveryBatch } from '../../fanout/delivery-batch.js';
import type { OutboxTransport } from '../../fanout/outbox-transport.js';
import { engineOf, tcpSocketOf, type EngineConnection, type WaitingPacket } from './engine-connection.js';

/** `readyState` of a WebSocket that is open. */
const webSocketOpen = 1;

/**
 * The transport of a socket, as its outbox uses it. What waits in engine.io, in ws and in Node's TCP socket
 * counts as one queue.
 */
export class SocketTransport implements OutboxTransport {
  private readonly engine: EngineConnection;

  constructor(private readonly socket: Socket) {
    this.engine = engineOf(socket);
  }

  get takesFrames(): boolean {
    return this.engine.transport.name === 'websocket';
  }

  get isDrained(): boolean {
    const { transport, writeBuffer } = this.engine;
    if (!transport.writable || writeBuffer.length > 0) return false;
    const tcp = transport.socket?._socket;
    return tcp === undefined || tcp === null || tcp.writableLength === 0;
  }

  get isObserved(): boolean {
    return this.socket.listenersAnyOutgoing().length > 0;
  }

  get waitingWrites(): number {
    return this.engine.writeBuffer.length;
  }

  waitingBytes(): number {
    let bytes = tcpSocketOf(this.engine)?.writableLength ?? 0;
    for (const packet of this.engine.writeBuffer) bytes += sizeOf(packet);
    return bytes;
  }

  writeFrames(frames: Buffer, batches?: readonly DeliveryBatch[], whenTaken?: () => void): boolean {
    if (whenTaken === undefined && this.writeDirectly(frames)) return true;
    const options = { compress: false, wsPreEncodedFrame: [frames], ...(batches && { batches }) };
    this.engine.write('', options, whenTaken);
    return false;
  }

  writePackets(packets: readonly (string | Buffer)[], whenTaken?: () => void): void {
    const last = packets.length - 1;
    packets.forEach((packet, i) => {
      this.engine.write(packet, { compress: false }, i === last ? whenTaken : undefined);
    });
  }

  dropWaiting(
    goOn: () => boolean,
    onDropped: (batch: DeliveryBatch) => void,
    notice: (last: DeliveryBatch, messages: number) => string,
  ): void {
    const queue = this.engine.writeBuffer;
    const kept: WaitingPacket[] = [];
    /** Index in `kept` of the notice of each topic, since the last packet that is not a notice. */
    const notices = new Map<string, number>();
    let taken = 0;
    for (; taken < queue.length && goOn(); taken++) {
      const packet = queue[taken]!;
      const { batches, dropped } = packet.options ?? {};
      if (batches === undefined) {
        if (dropped === undefined) notices.clear();
        else notices.set(dropped.topic, kept.length);
        kept.push(packet);
        continue;
      }
      for (const batch of batches) {
        onDropped(batch);
        const { topic } = batch;
        const at = notices.get(topic) ?? kept.length;
        notices.set(topic, at);
        const count = (kept[at]?.options?.dropped?.count ?? 0) + batch.count;
        const options = { compress: false, dropped: { topic, count } };
        kept[at] = { type: 'message', options, data: notice(batch, count) };
      }
    }
    queue.splice(0, taken, ...kept);
  }

  observe(event: string, data: unknown): void {
    for (const listener of this.socket.listenersAnyOutgoing()) listener(event, data);
  }

  /**
   * Writes to the TCP socket directly if nothing waits before it, because the bookkeeping of engine.io and ws
   * costs as much as the system call. What the socket does not accept at once counts as waiting, so the next
   * write takes the normal path and queues after it. If a program listens to engine.io's `packetCreate`,
   * nothing is written directly, so that it gets its events.
   */
  private writeDirectly(frames: Buffer): boolean {
    const { engine } = this;
    const { readyState, transport, writeBuffer } = engine;
    const { socket } = transport;
    const tcp = socket?._socket;
    if (tcp === undefined || tcp === null || readyState !== 'open' || !transport.writable) return false;
    if (socket!.readyState !== webSocketOpen || writeBuffer.length > 0 || tcp.writableLength > 0)
      return false;
    if (engine.listenerCount('packetCreate') > 0) return false;
    tcp.write(frames);
    return true;
  }
}

function sizeOf({ data, options }: WaitingPacket): number {
  let bytes = typeof data === 'string' || Buffer.isBuffer(data) ? data.length : 0;
  for (const frame of options?.wsPreEncodedFrame ?? []) bytes += frame.length;
  return bytes;
}
