import assert from 'node:assert/strict';
import { Received } from '../../../bench/storm/received.js';
import { brokenPromises, ratePerSec, stormTable, voidBecause } from '../../../bench/storm/report.js';
import { delayAfterEnd, delayAfterError, delayAfterResponse } from '../../../bench/storm/retry-delay.js';
import type { Storm, StormResult } from '../../../bench/storm/run-storm.js';
import { stormSides } from '../../../bench/storm/sides.js';
import { topicName, topicNumber, topicsOf } from '../../../bench/storm/topics.js';

const storm = (values: Partial<Storm> = {}): Storm => ({
  p50Ms: 1000,
  p99Ms: 1900,
  allBackMs: 2000,
  caughtUpMs: 2500,
  recovered: 100,
  retries: 0,
  outageMessages: 400,
  cutStallMs: 40,
  stallMs: 50,
  serverCpuSecs: 0.02,
  redisCpuSecs: 0.01,
  loadCpuSecs: 1,
  otherCores: 0.05,
  publishP99Ms: 12,
  rssBefore: 100 * 2 ** 20,
  rssPeak: 120 * 2 ** 20,
  rssAfter: 110 * 2 ** 20,
  ...values,
});

const sideOf = (name: string) => stormSides.find((side) => side.name === name)!;

const result = (values: Partial<StormResult> = {}): StormResult => ({
  side: sideOf('rtc'),
  work: {
    clients: 100,
    loadProcesses: 2,
    topics: 10,
    topicsPerClient: 2,
    history: 10,
    ratePerSec: 200,
    outageMs: 2000,
    calmMs: 3000,
    storms: 3,
  },
  storms: [storm(), storm({ allBackMs: 1000 }), storm({ allBackMs: 9000 })],
  published: 4000,
  incomplete: 0,
  missing: 0,
  repeated: 0,
  ...values,
});

describe('the storm of the benchmark', () => {
  it('counts what a client has not received, and what it has received again', () => {
    const received = new Received(10);
    for (const n of [11, 12, 12, 15, 14, 16]) received.add(n);
    assert.deepEqual(
      [received.last, received.missing, received.repeated],
      [16, 2, 2],
      '13 and 14 are left out, 12 comes twice and 14 too late',
    );
    received.endsAt(16);
    assert.equal(received.missing, 2);
    received.endsAt(18);
    assert.equal(received.missing, 4, '17 and 18 have not come until the end');
  });

  it('names each promise that is not kept, and none that is', () => {
    assert.deepEqual(brokenPromises(result()), []);
    const broken = brokenPromises(
      result({ storms: [storm(), storm({ recovered: 99 })], missing: 3, repeated: 2, incomplete: 1 }),
    );
    assert.equal(broken.length, 4);
    assert.match(broken[0]!, /^storm 2: 1 clients/);
    assert.match(broken[1]!, /^3 messages were not received/);
    assert.match(broken[2]!, /^2 messages .* twice/);
    assert.match(broken[3]!, /^1 clients/);
  });

  it('expects neither sessions nor missed messages of plain Socket.IO', () => {
    assert.deepEqual(
      brokenPromises(result({ side: sideOf('plain'), storms: [storm({ recovered: 0 })], missing: 7 })),
      [],
    );
  });

  it('has a rate that is the median of the storms, and marks what was not the service', () => {
    assert.equal(ratePerSec(result()), 50);
    assert.equal(voidBecause(result()), undefined);
    assert.match(voidBecause({ storms: [storm({ loadCpuSecs: 2 })] })!, /load process used 0\.80 cores/);
    assert.match(voidBecause({ storms: [storm({ otherCores: 0.5 })] })!, /other programs used 0\.50 cores/);
  });

  it('shows a stall above 100 ms in bold, and the largest of the storms', () => {
    const table = stormTable([result({ storms: [storm(), storm({ stallMs: 130, retries: 4 })] })]);
    assert.match(table, /\| 40 \/ \*\*130\*\* \|/);
    assert.match(table, /\| 100 \/ 120 \/ 110 \| 4 \|$/);
    assert.match(table, /\| 200 \(100\) \|/, 'microseconds for each of 100 clients');
  });

  it('has clients that try again when they are told to', () => {
    const refused = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n\r\n{}';
    assert.equal(delayAfterResponse(refused, 0), 10_000);
    assert.equal(delayAfterResponse(refused, 1), 10_500);
    assert.equal(delayAfterResponse('HTTP/1.1 502 Bad Gateway\r\n\r\n', 0.5), 1000);
    assert.equal(delayAfterError({ message: 'x', data: { code: 'busy', retry_after_ms: 300 } }, 0), 300);
    assert.equal(delayAfterError({ message: 'x' }, 0), 500);
    assert.equal(delayAfterEnd(1), 1500);
  });

  it('spreads the topics over the clients', () => {
    assert.deepEqual(topicsOf(0, 10, 2), [0, 1]);
    assert.deepEqual(topicsOf(7, 10, 2), [4, 5]);
    assert.deepEqual(topicsOf(3, 1, 2), [0], 'not the same topic twice');
    assert.equal(topicNumber(topicName(17)), 17);
  });
});
