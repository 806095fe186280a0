import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { until } from '../support/wait.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { utf8, weighted } from './generators.js';
import { PacketOracle, unanswered } from './packet-oracle.js';
import { binaryPacket, commandPacket, damagedPacket, joinPacket, otherPacket } from './packets.js';
import { answerLimitMs, ServiceUnderFuzz } from './service-under-fuzz.js';
import { WireClient, type RawBytes, type SentFrame } from './wire-client.js';

/** What one client of Socket.IO on WebSocket does. */
interface Visit {
  /** False: it sends everything before it is known whether it may join. */
  readonly waits: boolean;
  readonly join: string;
  readonly frames: readonly (SentFrame | RawBytes)[];
}

const textFrame = (text: string): SentFrame => ({ bytes: utf8(text) });
const binaryPart = fc
  .constantFrom('', 'x', '\0\x01\x02', 'y'.repeat(1000))
  .map((bytes) => ({ bytes, opcode: 2 }));
const visits: fc.Arbitrary<Visit> = fc.record({
  waits: weighted([4, fc.constant(true)], [1, fc.constant(false)]),
  join: joinPacket,
  frames: fc
    .array(
      weighted<readonly (SentFrame | RawBytes)[]>(
        [30, commandPacket.map((packet) => [textFrame(packet)])],
        [1, otherPacket.map((packet) => [textFrame(packet)])],
        [1, damagedPacket.map((bytes) => [{ bytes }])],
        [
          1,
          fc
            .tuple(binaryPacket, fc.array(binaryPart, { maxLength: 3 }))
            .map(([packet, parts]) => [textFrame(packet), ...parts]),
        ],
        [
          1,
          fc
            .tuple(damagedPacket, fc.constantFrom(0, 2, 3, 8, 9, 10, 15), fc.boolean())
            .map(([bytes, opcode, fin]) => [{ bytes, opcode, fin }]),
        ],
        [1, fc.string({ unit: 'binary', maxLength: 20 }).map((text) => [{ raw: utf8(text) }])],
      ),
      { maxLength: 25 },
    )
    .map((lists) => lists.flat()),
});

describe(`[FUZZ] Socket.IO on WebSocket (seed ${seed})`, function () {
  const bounds = { inputs: 150, seconds: 8 };
  this.timeout(timeLimitMs(bounds));
  let service: ServiceUnderFuzz;
  before(async () => (service = await ServiceUnderFuzz.start()));

  async function visit({ waits, join, frames }: Visit): Promise<void> {
    const client = await WireClient.open(service.port, '/socket.io/?EIO=4&transport=websocket');
    try {
      assert.ok(client.isOpen, client.head);
      const hasJoined = () => client.texts.some((text) => text.startsWith('42["status"'));
      const isRefused = () => client.isClosed || client.texts.some((text) => text.startsWith('44'));
      client.sendText(join);
      const joined = () => until(() => hasJoined() || isRefused(), 'joined or refused');
      if (waits) await joined();
      const oracle = new PacketOracle();
      // Frames that the oracle cannot follow: after one of these, the service may close.
      let isOdd = !waits;
      let endsItself = false;
      for (const frame of frames) {
        client.send(frame);
        if ('raw' in frame || frame.opcode === 8) endsItself = true;
        const { opcode = 1, fin = true } = frame as SentFrame;
        if ('raw' in frame || !fin || (opcode !== 1 && opcode !== 2)) isOdd = true;
        if (isOdd || 'raw' in frame) continue;
        const bytes = Buffer.from(frame.bytes, 'latin1');
        // Text that is not UTF-8 ends a WebSocket with 1007.
        if (opcode === 1 && !isUtf8(bytes)) isOdd = true;
        else if (opcode === 1) oracle.add(bytes.toString());
        else oracle.addBinary(bytes);
      }
      if (!waits) await joined();
      // After `44` a client has not joined, and commands before joining close the connection.
      if (isRefused() && !hasJoined()) return;
      const left = () => unanswered(oracle.awaited, client.texts);
      await until(() => client.isClosed || left().length === 0, 'answers', answerLimitMs).catch(() => {
        // Whoever has left is not answered any more, and its transport may stay open.
        if (!oracle.hasLeft) assert.fail(`not answered: ${left().join(', ')}`);
      });
      if (client.isClosed && !oracle.isBroken && !oracle.hasLeft && !isOdd)
        assert.fail(`closed with ${client.closeCode} after valid packets: ${client.texts.at(-1)}`);
      if (client.isClosed && !endsItself)
        assert.ok(client.closeCode !== undefined && client.closeCode !== 1005, 'closed without a code');
      assert.ok(!client.texts.some((text) => text.includes('"code":"internal"')), 'answered as internal');
    } finally {
      client.destroy();
      await service.check();
    }
  }

  for (const [name, input] of corpus<Visit>('socketio'))
    it(`answers what has failed once: ${name}`, () => visit(input));

  it('answers every command or closes with a code, and serves others meanwhile', async () => {
    await service.noteMemory();
    await fuzz('socketio', visits, bounds, visit);
  });

  it('leaves nothing behind, and the process ends', () => service.end());
});
