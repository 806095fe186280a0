import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { jsonCostRefusal } from '../../server/protocol/json-cost.js';
import { until } from '../support/wait.js';
import { tokenOf } from './tokens.js';
import { requestOf } from './commands.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { anyJson, anyText, damaged, jsonText, mostly, objectOf, utf8, weighted } from './generators.js';
import { answerLimitMs, assertAllowedStatus, ServiceUnderFuzz } from './service-under-fuzz.js';
import { WireClient, type RawBytes, type SentFrame } from './wire-client.js';

/** What one client of `/ws` does. */
interface Visit {
  readonly query: string;
  readonly frames: readonly (SentFrame | RawBytes)[];
}

const commandOf: Readonly<Record<string, string>> = {
  Subscribe: 'subscribe',
  Unsubscribe: 'unsubscribe',
  Broadcast: 'publish',
  Direct: 'direct',
  GetMissedMessages: 'missed',
  GetHistory: 'history',
  GetPresence: 'presence',
  RefreshToken: 'refresh',
  Ping: 'ping',
};

const idText = mostly(fc.nat(50).map(String), weighted([2, jsonText], [1, anyJson]));
const frameText = weighted(
  [8, fc.constantFrom(...Object.keys(commandOf))],
  [1, fc.constant('Ack')],
  [1, anyText],
).chain((type) =>
  objectOf({
    type: mostly(fc.constant(JSON.stringify(type))),
    data: type === 'Ack' ? mostly(objectOf({ message_id: jsonText })) : requestOf(commandOf[type] ?? ''),
    id: idText,
  }),
);
const wholeFrame = frameText.map((text): SentFrame => ({ bytes: utf8(text) }));
const oddFrame = fc
  .tuple(
    damaged(frameText),
    fc.constantFrom(0, 1, 2, 3, 8, 9, 10, 11, 15),
    fc.constantFrom<Partial<SentFrame>>({}, {}, {}, { fin: false }, { masked: false }),
  )
  .map(([bytes, opcode, more]): SentFrame => ({ bytes, opcode, ...more }));
const fragments = fc.tuple(frameText, fc.nat(200), fc.boolean()).map(([text, at, ping]) => {
  const bytes = utf8(text);
  return [
    { bytes: bytes.slice(0, at), fin: false },
    ...(ping ? [{ bytes: 'x', opcode: 9 }] : []),
    { bytes: bytes.slice(at), opcode: 0 },
  ] as SentFrame[];
});
const damagedFrame = damaged(frameText).map((bytes): SentFrame => ({ bytes }));
const raw = fc.string({ unit: 'binary', maxLength: 20 }).map((text): RawBytes => ({ raw: utf8(text) }));

const visits: fc.Arbitrary<Visit> = fc.record({
  query: weighted(
    [8, fc.constantFrom(`token=${tokenOf('ann')}`, `token=${tokenOf('bob')}`)],
    [1, anyText.map((text) => `token=${tokenOf('ann')}&session_id=${queryText(text)}`)],
    [1, anyText.map((text) => `token=${queryText(text)}`)],
  ),
  frames: fc
    .array(
      weighted<readonly (SentFrame | RawBytes)[]>(
        [20, wholeFrame.map((frame) => [frame])],
        [3, damagedFrame.map((frame) => [frame])],
        [2, fragments],
        [1, oddFrame.map((frame) => [frame])],
        [1, raw.map((bytes) => [bytes])],
      ),
      { maxLength: 25 },
    )
    .map((lists) => lists.flat()),
});

function queryText(text: string): string {
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '').slice(0, 2000));
}

/** The `id` that the answer to a frame has to have; undefined if the frame needs no such answer. */
function idOf(bytes: string): string | undefined {
  const binary = Buffer.from(bytes, 'latin1');
  // Text that is not UTF-8 is refused without being read.
  if (!isUtf8(binary)) return undefined;
  const text = binary.toString();
  // A frame that is too large is refused without being read.
  if (binary.length > 65_536) return undefined;
  // So is one that would be costly to read.
  if (jsonCostRefusal(text) !== undefined) return undefined;
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return undefined;
  const { type, id } = frame as { type?: unknown; id?: unknown };
  if (typeof type !== 'string') return undefined;
  // Longer ids may be refused without being repeated.
  return (typeof id === 'string' && id.length <= 64 && !/[\ud800-\udfff]/u.test(id)) ||
    Number.isSafeInteger(id)
    ? JSON.stringify(id)
    : undefined;
}

describe(`[FUZZ] /ws (seed ${seed})`, function () {
  const bounds = { inputs: 150, seconds: 8 };
  this.timeout(timeLimitMs(bounds));
  let service: ServiceUnderFuzz;
  before(async () => (service = await ServiceUnderFuzz.start()));

  async function visit({ query, frames }: Visit): Promise<void> {
    const client = await WireClient.open(service.port, `/ws?${query}`);
    try {
      if (!client.isOpen) {
        assertAllowedStatus(Number(client.head.slice(9, 12)), client.head, 'the upgrade');
        return;
      }
      const awaited = new Map<string, number>();
      let isOrdinary = true;
      let mayCloseWithoutCode = false;
      for (const frame of frames) {
        client.send(frame);
        if ('raw' in frame) mayCloseWithoutCode = true;
        else if (frame.opcode === 8) mayCloseWithoutCode = true;
        // After a fragment or a forbidden frame the next ones may belong to it.
        if ('raw' in frame || (frame.opcode ?? 1) !== 1 || frame.fin === false || frame.masked === false)
          isOrdinary = false;
        else if (isOrdinary) {
          const id = idOf(frame.bytes);
          if (id !== undefined) awaited.set(id, (awaited.get(id) ?? 0) + 1);
        }
      }
      const unanswered = () => {
        const left = new Map(awaited);
        for (const text of client.texts) {
          const { id } = JSON.parse(text) as { id?: unknown };
          const key = JSON.stringify(id);
          if (id !== undefined && left.has(key)) left.set(key, left.get(key)! - 1);
        }
        return [...left].filter(([, times]) => times > 0).map(([id]) => id);
      };
      await until(() => client.isClosed || unanswered().length === 0, 'answers', answerLimitMs).catch(() =>
        assert.fail(`not answered: ${unanswered().join(', ')}`),
      );
      if (client.isClosed && !mayCloseWithoutCode) {
        await until(() => client.hasEnded || client.closeCode !== undefined, 'the end');
        assert.ok((client.closeCode ?? 1006) !== 1006 && client.closeCode !== 1005, 'closed without a code');
      }
      assert.ok(!client.texts.some((text) => text.includes('"code":"internal"')), 'answered as internal');
    } finally {
      client.destroy();
    }
    await service.check();
  }

  for (const [name, input] of corpus<Visit>('ws'))
    it(`answers what has failed once: ${name}`, () => visit(input));

  it('answers every frame or closes with a code, and serves others meanwhile', async () => {
    await service.noteMemory();
    await fuzz('ws', visits, bounds, visit);
  });

  it('leaves nothing behind, and the process ends', () => service.end());
});
