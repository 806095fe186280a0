import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { until } from '../support/wait.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { anyText, utf8, weighted } from './generators.js';
import { PacketOracle, unanswered } from './packet-oracle.js';
import { binaryPacket, commandPacket, damagedPacket, joinPacket, otherPacket } from './packets.js';
import { answerLimitMs, assertAllowedStatus, ServiceUnderFuzz } from './service-under-fuzz.js';
import { WireClient } from './wire-client.js';

/** What a client of long-polling does, one after the other, while it polls. */
type Step =
  /** Posts packets. Bytes are written one per character. */
  | { readonly post: string; readonly type?: string }
  /** Any request with this query; `SID` stands for the id of the transport. */
  | { readonly method: string; readonly query: string; readonly body: string }
  /** Upgrades the transport by these packets. */
  | { readonly upgrade: readonly string[] };

interface Visit {
  readonly query: string;
  readonly join: string;
  readonly steps: readonly Step[];
}

const packetBytes = weighted(
  [20, commandPacket.map(utf8)],
  [1, otherPacket.map(utf8)],
  [1, damagedPacket],
  [1, binaryPacket.map(utf8)],
);
const queryOf = fc
  .array(
    weighted(
      [
        3,
        fc.constantFrom(
          'EIO=4',
          'transport=polling',
          'sid=SID',
          'transport=websocket',
          'EIO=3',
          'sid=',
          'j=1',
          'b64=1',
        ),
      ],
      [
        1,
        anyText.map(
          (text) => `sid=${encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '').slice(0, 300))}`,
        ),
      ],
      [1, fc.constantFrom('transport=__proto__', 'transport=x', 'sid=SID&sid=SID', '%', '%zz=%00', 't=%ff')],
    ),
    { maxLength: 5 },
  )
  .map((parts) => parts.join('&'));
const visits: fc.Arbitrary<Visit> = fc.record({
  query: weighted(
    [6, fc.constant('')],
    [1, fc.constantFrom('&sid=', '&j=1', '&b64=1', '&t=%00x', '&token=x')],
  ),
  join: joinPacket,
  steps: fc.array(
    weighted<Step>(
      [
        10,
        fc
          .tuple(
            fc.array(packetBytes, { minLength: 1, maxLength: 6 }),
            weighted(
              [9, fc.constant(undefined)],
              [1, fc.constantFrom('application/octet-stream', 'application/json', 'x')],
            ),
          )
          .map(([packets, type]) => ({ post: packets.join('\x1e'), ...(type !== undefined && { type }) })),
      ],
      [
        2,
        fc.record({
          method: fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'DELETE'),
          query: queryOf,
          body: packetBytes,
        }),
      ],
      [
        1,
        fc
          .array(fc.constantFrom('2probe', '5', '3', '40', 'x', '1'), { maxLength: 3 })
          .map((upgrade) => ({ upgrade })),
      ],
    ),
    { maxLength: 8 },
  ),
});

interface Answer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

describe(`[FUZZ] long-polling (seed ${seed})`, function () {
  const bounds = { inputs: 100, seconds: 8 };
  this.timeout(timeLimitMs(bounds));
  const agent = new Agent({ keepAlive: true });
  let service: ServiceUnderFuzz;
  before(async () => (service = await ServiceUnderFuzz.start()));
  after(() => agent.destroy());

  /** Sends one request. Undefined if it was broken off, here or there. */
  function ask(
    method: string,
    query: string,
    signal: AbortSignal,
    body = '',
    type = 'text/plain',
  ): Promise<Answer | undefined> {
    const path = `/socket.io/?${query}`;
    return new Promise((resolve) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: service.port,
          agent,
          method,
          path,
          signal,
          headers: method === 'GET' ? {} : { 'content-type': type, 'content-length': body.length },
        },
        (response) => {
          let text = '';
          response.setEncoding('latin1').on('data', (data: string) => (text += data));
          response.on('error', () => resolve(undefined));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.rawHeaders.join(' '),
              body: Buffer.from(text, 'latin1').toString(),
            }),
          );
        },
      );
      sent.on('error', () => resolve(undefined));
      sent.end(method === 'GET' ? undefined : Buffer.from(body, 'latin1'));
    });
  }

  async function visit({ query, join, steps }: Visit): Promise<void> {
    const end = new AbortController();
    try {
      const opened = await ask('GET', `EIO=4&transport=polling${query}`, end.signal);
      assertAllowedStatus(opened?.status ?? 0, opened?.headers ?? '', 'the handshake');
      const sid = /"sid":"([^"]+)"/.exec(opened?.body ?? '')?.[1];
      if (sid === undefined) return;
      await go(sid, join, steps, end.signal);
    } finally {
      end.abort();
      await service.check();
    }
  }

  async function go(sid: string, join: string, steps: readonly Step[], signal: AbortSignal): Promise<void> {
    const own = `EIO=4&transport=polling&sid=${sid}`;
    const packets: string[] = [];
    let isClosed = false;
    const polling = (async () => {
      while (!isClosed && !signal.aborted) {
        const answer = await ask('GET', own, signal);
        if (answer?.status !== 200) isClosed = true;
        else packets.push(...answer.body.split('\x1e'));
        if (packets.includes('1') || packets.includes('6')) isClosed = true;
      }
    })();
    await ask('POST', own, signal, utf8(join));
    const hasJoined = () => packets.some((packet) => packet.startsWith('42["status"'));
    await until(
      () => hasJoined() || isClosed || packets.some((packet) => packet.startsWith('44')),
      'joined or refused',
    );
    const oracle = new PacketOracle();
    let isOdd = false;
    for (const step of steps) {
      const what = JSON.stringify(step).slice(0, 200);
      if ('upgrade' in step) {
        isOdd = true;
        const client = await WireClient.open(
          service.port,
          `/socket.io/?EIO=4&transport=websocket&sid=${sid}`,
        );
        for (const packet of step.upgrade) client.sendText(packet);
        await until(
          () => client.texts.length > 0 || client.isClosed || step.upgrade.length === 0,
          'an answer',
          100,
        ).catch(() => {});
        client.destroy();
        continue;
      }
      const limit = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
      if ('method' in step) {
        isOdd = true;
        const answered = await Promise.race([
          ask(step.method, step.query.replaceAll('SID', sid), limit, step.body),
          // A poll waits for its packets, by right.
          ...(step.method === 'GET' ? [sleep(50, undefined)] : []),
        ]);
        assertAllowedStatus(answered?.status ?? 0, answered?.headers ?? '', what);
        continue;
      }
      for (const packet of step.post.split('\x1e')) oracle.add(Buffer.from(packet, 'latin1').toString());
      if (step.type !== undefined) isOdd = true;
      const answered = await ask('POST', own, limit, step.post, step.type);
      assert.ok(
        answered !== undefined || !AbortSignal.any([limit]).aborted || signal.aborted,
        `no answer: ${what}`,
      );
      assertAllowedStatus(answered?.status ?? 0, answered?.headers ?? '', what);
    }
    if (!hasJoined()) return;
    const left = () => unanswered(oracle.awaited, packets);
    await until(() => isClosed || isOdd || left().length === 0, 'answers', answerLimitMs).catch(() => {
      if (!oracle.hasLeft && !oracle.isBroken) assert.fail(`not answered: ${left().join(', ')}`);
    });
    if (isClosed && !isOdd && !oracle.isBroken && !oracle.hasLeft) assert.fail('closed after valid packets');
    assert.ok(!packets.some((packet) => packet.includes('"code":"internal"')), 'answered as internal');
    await ask('POST', own, signal, '1');
    await Promise.race([polling, sleep(100)]);
  }

  for (const [name, input] of corpus<Visit>('polling'))
    it(`answers what has failed once: ${name}`, () => visit(input));

  it('answers every request and command, and serves others meanwhile', async () => {
    await service.noteMemory();
    await fuzz('polling', visits, bounds, visit);
  });

  it('leaves nothing behind, and the process ends', () => service.end());
});
