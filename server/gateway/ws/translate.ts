import { base64Key } from '../../../shared/message.js';
import { frameTypes, type ServerFrame } from '../../protocol/server-frame.js';

/**
 * `2` event, optional attachments count, optional namespace, optional acknowledgement id, then JSON
 * (Socket.IO protocol v5).
 */
const eventPacket = /^[25](?:(\d+)-)?(?:\/[^,]*,)?\d*(\[.*)$/s;
/** `4` the connection is refused, optional namespace, then JSON. */
const refusalPacket = /^4(?:\/[^,]*,)?(\{.*)$/s;

/** An event with binary parts that have not been written yet. */
interface OpenEvent {
  readonly content: unknown[];
  readonly parts: Buffer[];
  readonly count: number;
}

/**
 * Translates the packets that Socket.IO writes to one connection into frames. Events that are not the
 * service's own (an embedding application's) become `Event` frames, and a refused connection becomes an
 * `Error` frame. Packets without an equivalent on `/ws` become no frame. Socket.IO writes the binary parts of
 * an event after it: the frame is complete with the last part and contains the parts as base64 text.
 */
export class PacketTranslator {
  private open: OpenEvent | undefined;

  translate(packet: string | ArrayBufferView | ArrayBuffer): ServerFrame | undefined {
    if (typeof packet !== 'string') return this.addPart(bytesOf(packet));
    const refusal = refusalPacket.exec(packet)?.[1];
    if (refusal !== undefined) {
      const { data, message } = JSON.parse(refusal) as { data?: unknown; message?: unknown };
      return { type: 'Error', data: data ?? { code: 'forbidden', message } };
    }
    const [, count, text] = eventPacket.exec(packet) ?? [];
    if (text === undefined) return undefined;
    const content = JSON.parse(text) as unknown[];
    if (count === undefined) return eventFrame(content);
    this.open = { content, parts: [], count: Number(count) };
    return undefined;
  }

  private addPart(part: Buffer): ServerFrame | undefined {
    const { open } = this;
    if (open === undefined) return undefined;
    open.parts.push(part);
    if (open.parts.length < open.count) return undefined;
    this.open = undefined;
    return eventFrame(open.content.map((item) => withParts(item, open.parts)));
  }
}

function bytesOf(part: ArrayBufferView | ArrayBuffer): Buffer {
  return ArrayBuffer.isView(part)
    ? Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    : Buffer.from(part);
}

function eventFrame([event, ...args]: readonly unknown[]): ServerFrame {
  const name = String(event);
  const type = Object.hasOwn(frameTypes, name) ? frameTypes[name] : undefined;
  return type === undefined ? { type: 'Event', data: { event, args } } : { type, data: args[0] ?? null };
}

/** A value of a packet, with its placeholders replaced by the binary parts as base64 text. */
function withParts(value: unknown, parts: readonly Buffer[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withParts(item, parts));
  const { _placeholder: isPlaceholder, num } = value as Record<string, unknown>;
  const part = isPlaceholder === true && typeof num === 'number' ? parts[num] : undefined;
  if (part !== undefined) return { [base64Key]: part.toString('base64') };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withParts(item, parts)]));
}
