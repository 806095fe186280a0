import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { launchChromium } from '../support/chromium.js';
import { FaultyWire, type WireFault } from '../support/faulty-wire.js';
import { TestReplica } from '../support/replica.js';
import { rtc, scratch, validJson } from '../support/rtc.js';

interface LoadResult {
  readonly connections: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly expected: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly out_of_order: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly latency_ms: Readonly<Record<string, number>>;
  readonly failed: readonly string[];
}

describe('[CLI] rtc load-test', function () {
  this.timeout(60_000);
  let replica: TestReplica;
  let wire: FaultyWire;

  before(async () => {
    replica = await TestReplica.start();
    wire = await FaultyWire.start(replica.webSocketUrl.replace(/\/ws$/, ''));
  });
  after(async () => {
    await wire?.stop();
    await replica?.end('SIGKILL');
  });

  const load = async (url: string, ...more: string[]) => {
    const small = ['--connections', '30', '--rate', '5', '--duration', '2s', '--ramp', '300ms'];
    const result = await rtc(['load-test', '--url', url, ...small, '--json', ...more]);
    return { result, answer: validJson<LoadResult>('rtc load-test', result)[0]! };
  };

  for (const transport of ['ws', 'socketio'])
    it(`counts what was sent, stored and received, and finds nothing lost, on ${transport}`, async () => {
      const { result, answer } = await load(replica.url, '--transport', transport, '--workers', '2');
      assert.equal(result.code, 0, result.stderr);
      const { connections, sent, acknowledged, received, expected, lost, latency_ms: latency } = answer;
      // Five messages a second of each client for two seconds, each to the ten clients of its topic.
      assert.deepEqual(
        [connections, sent, acknowledged, expected, received, lost],
        [30, 300, 300, 3000, 3000, 0],
      );
      assert.ok(
        latency['p50']! > 0 && latency['p99']! >= latency['p50']! && latency['max']! >= latency['p99_9']!,
      );
      assert.match(
        result.stderr,
        /30 connected, \d+ sent\/s, \d+ received\/s, p99 [\d.]+ ms/,
        'progress is on stderr',
      );
    });

  for (const [fault, field, text] of [
    ['drop', 'lost', /^loss is [\d.]+ %/],
    ['double', 'duplicates', /messages came twice/],
    ['reorder', 'out_of_order', /messages came out of order/],
  ] as const satisfies readonly (readonly [WireFault, keyof LoadResult, RegExp])[])
    it(`fails if the service would ${fault} messages, and says how many`, async () => {
      wire.fault = fault;
      try {
        const { result, answer } = await load(wire.url);
        assert.equal(result.code, 1);
        assert.ok(answer[field] > 0);
        assert.ok(
          answer.failed.some((problem) => text.test(problem)),
          answer.failed.join('; '),
        );
        const others = (['duplicates', 'out_of_order'] as const).filter((name) => name !== field);
        for (const name of others) assert.equal(answer[name], 0, name);
      } finally {
        wire.fault = 'none';
      }
    });

  it('takes a duration and a ramp in seconds without a unit, and prints progress, then the figures', async () => {
    const options = ['--connections', '20', '--rate', '2', '--duration', '2', '--ramp', '0'];
    const { code, stdout, stderr } = await rtc(['load-test', '--url', replica.url, ...options]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^20 connected, \d+ sent\/s/m);
    const names = [...stdout.matchAll(/^([a-z ]+?) {2,}/gm)].map(([, name]) => name);
    assert.deepEqual(names, [
      ...['connections', 'sent', 'received', 'errors', 'latency', 'loss', 'twice', 'out of order'],
    ]);
    assert.match(stdout, /^sent +80 /m);
    assert.match(stdout, /^latency +average [\d.]+ ms, .*p99 [\d.]+/m);
  });

  it('fails if a threshold is crossed, or clients cannot connect', async () => {
    const late = await load(replica.url, '--max-p99', '0ms');
    assert.equal(late.result.code, 1);
    assert.match(late.answer.failed.join(), /^p99 is [\d.]+ ms, above 0 ms$/);
    const refused = await rtc([
      'load-test',
      '--url',
      replica.url,
      '--token',
      'bad',
      '--connections',
      '2',
      '--rate',
      '10',
      '--duration',
      '200ms',
      '--json',
    ]);
    assert.equal(refused.code, 1);
    const [answer] = validJson<LoadResult>('rtc load-test', refused);
    assert.deepEqual(answer!.errors, { 'connect: Unexpected server response: 401': 2 });
  });

  it('writes a page that shows its charts in a browser, without scripts and without anything from elsewhere', async () => {
    const file = join(scratch, 'report.html');
    // A point for each second of the clock: two seconds may begin and end with one.
    await load(replica.url, '--duration', '3s', '--report', file);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const asked: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      await page.goto(pathToFileURL(file).href);
      assert.equal(asked.length, 1);
      for (const [chart, series] of [
        ['messages', 2],
        ['latency', 2],
        ['percentiles', 1],
      ] as const) {
        const box = await page.locator(`svg#${chart}`).boundingBox();
        assert.ok(box !== null && box.width > 300 && box.height > 80, `${chart} is shown`);
        const lines = page.locator(`svg#${chart} polyline`);
        assert.equal(await lines.count(), series);
        for (let i = 0; i < series; i++)
          assert.ok(((await lines.nth(i).getAttribute('points')) ?? '').split(' ').length >= 3);
      }
      assert.match(await page.locator('table').innerText(), /received\s+4500/);
    } finally {
      await browser.close();
    }
  });
});
