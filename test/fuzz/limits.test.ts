import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { attackFrame, opcodes, RawClient, upgradeRequest } from '../../bench/attack/raw-client.js';
import { until } from '../support/wait.js';
import { corpus, fuzz, seed, timeLimitMs } from './fuzz-plan.js';
import { mostly, weighted } from './generators.js';
import { ServiceUnderFuzz } from './service-under-fuzz.js';
import { tokenOf } from './tokens.js';

/** Frames of one kind, one after the other. */
interface Frames {
  readonly content: keyof typeof contents;
  /** Of the payload, in bytes. */
  readonly size: number;
  readonly opcode: keyof typeof opcodes;
  readonly isWhole: boolean;
  readonly count: number;
}

/** An HTTP request. Sizes are in bytes. */
interface PlainRequest {
  readonly line: string;
  readonly headers: number;
  readonly body: 'none' | 'length' | 'chunks';
  readonly size: number;
  readonly chunk: number;
  readonly trailers: number;
  /** The part of it that is sent before the next one follows. */
  readonly part: number;
}

/** How a client sends: pieces do not end where frames or requests end. */
interface Sending {
  /** Bytes of each piece but the last, at least a hundredth of all. */
  readonly piece: number;
  /** After so many pieces it waits for as many milliseconds. */
  readonly pause: readonly [pieces: number, ms: number];
  readonly reads: boolean;
  readonly end: 'destroy' | 'reset' | 'wait';
}

/** A WebSocket client that sends more than it may. */
interface WebSocketVisit extends Sending {
  readonly path: keyof typeof paths;
  /** Whether it sends its frames with the upgrade, before that is answered. */
  readonly isEarly: boolean;
  readonly frames: readonly Frames[];
}

/** A client of HTTP that does so. */
interface HttpVisit extends Sending {
  readonly requests: readonly PlainRequest[];
}

type Visit = WebSocketVisit | HttpVisit;

/** Everything that a client may cost is little, so that few frames are too many. */
const limits = {
  RTC_WEBSOCKET_MAX_JOIN_BYTES: '4096',
  RTC_WEBSOCKET_TRANSPORT_LIMIT_BYTES: '70000',
  RTC_WEBSOCKET_MAX_INFLIGHT_COMMANDS: '4',
  RTC_WEBSOCKET_MAX_INFLIGHT_BYTES: '10000',
  RTC_WEBSOCKET_TOTAL_INFLIGHT_BYTES: '100000',
  RTC_LIMITS_WASTE_PACKETS_PER_SEC: '20',
  RTC_LIMITS_HTTP_BODIES_BYTES: '200000',
};

const paths = {
  json: `/ws?token=${tokenOf('ann')}`,
  'json without a token': '/ws',
  'socket.io': '/socket.io/?EIO=4&transport=websocket',
};

/** What a payload begins with; it is filled up to its size. */
const contents = {
  publish: '{"type":"Broadcast","id":1,"data":{"topic":"t","payload":"',
  subscribe: '{"type":"Subscribe","id":2,"data":{"topics":["t"]}}',
  join: `40{"token":"${tokenOf('bob')}"}`,
  'publish of socket.io': '420["publish",{"topic":"t","payload":"',
  'parts to come': '451-["publish",{"topic":"t","payload":{"_placeholder":true,"num":0}}]',
  'pong of engine.io': '3',
  probe: '2probe',
  'nothing known': 'x',
} as const;

const names = <Name extends string>(table: Readonly<Record<Name, unknown>>): fc.Arbitrary<Name> =>
  fc.constantFrom(...(Object.keys(table) as Name[]));

const frames: fc.Arbitrary<Frames> = fc.record({
  content: names(contents),
  size: weighted([4, fc.nat(300)], [2, fc.nat(5000)], [1, fc.nat(80_000)]),
  opcode: weighted([6, fc.constant('text' as const)], [1, names(opcodes)]),
  isWhole: mostly(fc.constant('true'), fc.constant('false')).map((text) => text === 'true'),
  count: weighted([3, fc.constant(1)], [1, fc.nat(60)]),
});

const sending = {
  piece: weighted([2, fc.integer({ min: 1, max: 2000 })], [2, fc.integer({ min: 2000, max: 100_000 })]),
  pause: fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(5)),
  reads: fc.boolean(),
  end: fc.constantFrom('destroy', 'reset', 'wait'),
} as const;

const requests: fc.Arbitrary<PlainRequest> = fc.record({
  line: fc.constantFrom(
    'POST /api/topics/t/messages',
    'POST /socket.io/?EIO=4&transport=polling',
    'GET /socket.io/?EIO=4&transport=polling',
    'GET /health/live',
    'PUT /nothing',
    'POST /auth/refresh',
  ),
  headers: weighted([3, fc.nat(300)], [1, fc.nat(17_000)]),
  body: fc.constantFrom('none', 'length', 'chunks'),
  size: weighted([3, fc.nat(300)], [1, fc.nat(90_000)]),
  chunk: fc.integer({ min: 1, max: 5000 }),
  trailers: weighted([1, fc.constant(0)], [1, fc.nat(300)], [1, fc.nat(17_000)]),
  part: weighted([3, fc.constant(1)], [1, fc.double({ min: 0, max: 1, noNaN: true })]),
});

const visits: fc.Arbitrary<Visit> = fc.oneof(
  fc.record<WebSocketVisit>({
    ...sending,
    path: names(paths),
    isEarly: fc.boolean(),
    frames: fc.array(frames, { maxLength: 8 }),
  }),
  fc.record<HttpVisit>({ ...sending, requests: fc.array(requests, { minLength: 1, maxLength: 6 }) }),
);

function bytesOf({ content, size, opcode, isWhole, count }: Frames): Buffer {
  const isControl = opcode === 'ping' || opcode === 'pong' || opcode === 'close';
  const text = contents[content].padEnd(size, 'x').slice(0, Math.max(size, isControl ? 0 : 1));
  const frame = attackFrame(isControl ? text.slice(0, 125) : text, opcodes[opcode], isWhole);
  return Buffer.concat(Array.from({ length: count }, () => frame));
}

function bytesOfRequest({ line, headers, body, size, chunk, trailers, part }: PlainRequest): Buffer {
  const head = [
    `${line} HTTP/1.1`,
    'Host: service',
    `Authorization: Bearer ${tokenOf('ann')}`,
    `X-Filler: ${'x'.repeat(headers)}`,
    ...(body === 'length' ? [`Content-Length: ${size}`] : []),
    ...(body === 'chunks' ? ['Transfer-Encoding: chunked', 'Content-Type: application/json'] : []),
  ];
  let content = body === 'length' ? 'x'.repeat(size) : '';
  if (body === 'chunks') {
    // Node would be busy with the pieces alone.
    const step = Math.max(chunk, Math.ceil(size / 2000));
    for (let at = 0; at < size; at += step) {
      const length = Math.min(step, size - at);
      content += `${length.toString(16)}\r\n${'x'.repeat(length)}\r\n`;
    }
    content += `0\r\n${trailers === 0 ? '' : `X-Trailer: ${'x'.repeat(trailers)}\r\n`}\r\n`;
  }
  const request = Buffer.from(`${head.join('\r\n')}\r\n\r\n${content}`);
  return request.subarray(0, Math.ceil(request.length * part));
}

describe(`[FUZZ] clients over their limits (seed ${seed})`, function () {
  const bounds = { inputs: 120, seconds: 12 };
  this.timeout(timeLimitMs(bounds));
  let service: ServiceUnderFuzz;
  before(async () => (service = await ServiceUnderFuzz.start(limits)));

  /** Opens the connection of a client, and says what it has to send. */
  async function begin(visit: Visit): Promise<[RawClient | undefined, Buffer]> {
    const target = { port: service.port, localAddress: '127.0.0.1' };
    if ('requests' in visit)
      return [await RawClient.open(target), Buffer.concat(visit.requests.map(bytesOfRequest))];
    const { path, isEarly, frames } = visit;
    const sent = Buffer.concat(frames.map(bytesOf));
    if (!isEarly) return [await RawClient.upgrade(target, paths[path]), sent];
    return [await RawClient.open(target), Buffer.concat([Buffer.from(upgradeRequest(paths[path])), sent])];
  }

  async function visit(input: Visit): Promise<void> {
    const { piece, pause, reads, end } = input;
    const [client, sent] = await begin(input);
    if (client === undefined) return;
    if (!reads) client.stopReading();
    const [pieces, ms] = pause;
    const bytes = Math.max(piece, Math.ceil(sent.length / 100));
    for (let at = 0, n = 1; at < sent.length && !client.isClosed; at += bytes, n++) {
      client.send(sent.subarray(at, at + bytes));
      if (n % pieces === 0) await sleep(ms);
    }
    if (end === 'wait') await client.until(() => false, 50);
    if (end === 'reset') client.reset();
    else client.destroy();
    await until(() => client.isClosed, 'the connection has closed');
  }

  async function visitTogether(together: readonly Visit[]): Promise<void> {
    await Promise.all(together.map(visit));
    await service.check();
  }

  for (const [name, input] of corpus<readonly Visit[]>('limits'))
    it(`answers what has failed once: ${name}`, () => visitTogether(input));

  it('serves others meanwhile, and has no error of its own', async () => {
    await service.noteMemory();
    await fuzz('limits', fc.array(visits, { minLength: 1, maxLength: 8 }), bounds, visitTogether);
  });

  it('leaves nothing behind, and the process ends', () => service.end());
});
