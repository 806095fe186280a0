import { decode, encode } from '@msgpack/msgpack';
import { jsonFrames } from '../../server/fanout/frames.js';
import type { LogEntry } from '../../server/log/broker.js';
import { encodeEntry, entryToMessage } from '../../server/log/entry.js';

/**
 * What MessagePack on `/ws` would change: bytes of a delivery, and the time to encode it (once for all subscribers of a topic) and to decode it
 * in a client. No network, no service: only the encodings. See docs/adr/0019-no-binary-wire.md.
 *
 *   npm run bench:binary-wire
 */
const epoch = 'k3x9-1';
const perFlush = 20;
const rounds = 500;

const payloads: Record<string, unknown> = {
  chat: {
    text: 'Does anybody have the slides of this morning?',
    room: 42,
    mentions: ['ann', 'bob'],
    edited: false,
  },
  position: { lat: 52.520008, lon: 13.404954, speed: 13.4, heading: 271, at: 1_764_172_800_123 },
  ticks: Array.from({ length: 50 }, (_, n) => ({
    symbol: `S${n}`,
    bid: 100 + n / 7,
    ask: 100 + n / 6,
    size: n * 100,
  })),
  small: 1,
};
const image = Buffer.alloc(4096, 'binary content ');

interface Sample {
  readonly name: string;
  readonly entries: readonly LogEntry[];
}

function sample(name: string, payloadJson: string, attachments: readonly Buffer[] = []): Sample {
  const entries = Array.from({ length: perFlush }, (_, n): LogEntry => {
    const id = `019ac1de-0000-7000-8000-${String(n).padStart(12, '0')}`;
    const timestamp = 1_764_172_800_000 + n;
    const message = { id, topic: 'rooms.42', payloadJson, attachments, sender: 'user-17', timestamp };
    return { sequence: 100_000 + n, entry: encodeEntry(message) };
  });
  return { name, entries };
}

const samples = [
  ...Object.entries(payloads).map(([name, payload]) => sample(name, JSON.stringify(payload))),
  sample('4 KiB binary', '{"image":{"_placeholder":true,"num":0}}', [image]),
];

/** An id of 36 characters is 16 bytes. */
const idBytes = (id: string) => Buffer.from(id.replaceAll('-', ''), 'hex');

/** The encodings. Each makes the frames of one flush. */
const encodings = {
  /** Of today: the bytes of the log, with a prefix. */
  json: (entries: readonly LogEntry[]) => [jsonFrames('message', epoch, entries)],
  /** The same frame as the smallest one below, as JSON: what the shape saves without MessagePack. */
  'json, one frame': (entries: readonly LogEntry[]) => {
    const messages = entries.map(({ entry, sequence }) => entryToMessage(entry, sequence, epoch, 'base64'));
    const rows = messages.map(({ id, sequence, sender, timestamp, payload }) => [
      ...[id, sequence, sender, timestamp],
      payload,
    ]);
    return [Buffer.from(JSON.stringify([1, epoch, messages[0]!.topic, rows]))];
  },
  /** A frame for each message, the same names, the payload as MessagePack. */
  msgpack: (entries: readonly LogEntry[]) =>
    entries.map(({ entry, sequence }) =>
      encode({ type: 'Broadcast', data: entryToMessage(entry, sequence, epoch, 'buffer') }),
    ),
  /** As small as it gets: one frame, epoch and topic once, no names, ids as bytes. */
  'msgpack, one frame': (entries: readonly LogEntry[]) => {
    const messages = entries.map(({ entry, sequence }) => entryToMessage(entry, sequence, epoch, 'buffer'));
    const rows = messages.map(({ id, sequence, sender, timestamp, payload }) => [
      ...[idBytes(id), sequence, sender, timestamp],
      payload,
    ]);
    return [encode([1, epoch, messages[0]!.topic, rows])];
  },
};

/** Processor time of this process, so that others on the machine do not count. */
function microsPerMessage(run: () => void): number {
  for (let i = 0; i < rounds / 5; i++) run();
  const parts = 5;
  const best = Math.min(
    ...Array.from({ length: parts }, () => {
      const before = process.cpuUsage();
      for (let i = 0; i < rounds / parts; i++) run();
      const { user, system } = process.cpuUsage(before);
      return user + system;
    }),
  );
  return best / (rounds / parts) / perFlush;
}

const size = (frames: readonly Uint8Array[]) => frames.reduce((sum, { length }) => sum + length, 0);
const two = (value: number) => Number(value.toFixed(2));

/** What a client does with the frames of one flush. */
function decoder(name: keyof typeof encodings, entries: readonly LogEntry[]): () => void {
  const frames = encodings[name](entries);
  if (name === 'json, one frame') {
    const text = frames[0]!.toString();
    return () => void JSON.parse(text);
  }
  if (name !== 'json') return () => frames.forEach((frame) => void decode(frame));
  const texts = entries.map(({ entry, sequence }) =>
    JSON.stringify({ type: 'Broadcast', data: entryToMessage(entry, sequence, epoch, 'base64') }),
  );
  return () => texts.forEach((text) => void JSON.parse(text));
}

console.log(`${new Date().toISOString()} ${process.version}; ${perFlush} messages in a flush`);
for (const { name, entries } of samples) {
  const rows = Object.entries(encodings).map(([encoding, make]) => {
    const frames = make(entries);
    const row = {
      'bytes/message': Math.round(size(frames) / perFlush),
      'encode µs': two(microsPerMessage(() => void make(entries))),
      'decode µs': two(microsPerMessage(decoder(encoding as keyof typeof encodings, entries))),
    };
    return [encoding, row] as const;
  });
  console.log(name);
  console.table(Object.fromEntries(rows));
}
