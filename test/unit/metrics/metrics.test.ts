import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { metricsRouter } from '../../../server/http/metrics-route.js';
import { newInboundCounts } from '../../../server/gateway/inbound/inbound-counts.js';
import { newLimitCounts } from '../../../server/limits/limit-counts.js';
import { metricTable } from '../../../server/metrics/metric-table.js';
import { newQuotaCounts } from '../../../server/limits/quota-counts.js';
import { Metrics } from '../../../server/metrics/metrics.js';
import { Quantiles } from '../../../server/metrics/quantiles.js';
import { root } from '../../support/root.js';

/** Metrics of a service that only holds a few connections. */
function someMetrics(): Metrics {
  const metrics = new Metrics();
  metrics.setSources({
    replicaId: 'r1',
    phase: () => 'draining',
    drain: () => ({ step: 'moving', moved: 45, forced: 46, remaining: 47 }),
    connections: () => ({ total: 3, socketio: 2, json: 1 }),
    topics: () => ({ carried: 4, subscriptions: 5, behind: 6 }),
    delivery: () => ({ delivered: 7, flushes: 8, paused: 9, dropped: 10, disconnected: 11, gaps: 12 }),
    limits: () => ({ ...newLimitCounts(), connection: 2 }),
    quotas: () => ({ ...newQuotaCounts(), newTopics: 38 }),
    historyRemoved: () => 39,
    tokens: () => ({ revocations: 21, refresh_reuses: 22 }),
    outboxes: () => ({ slow: 13, waitingBytes: 14 }),
    answers: () => ({ bytes: 38, refused: 39, aborted: 40 }),
    optimizations: () => ({ fast_publishes: 1, direct_writes: 2, slim_connections: 3 }),
    polling: () => ({ forwarded: 0, served: 0, failed: 0, upgrades_refused: 0 }),
    inbound: () => ({ ...newInboundCounts(), commands: 41, bytes: 42, paused: 43, waste: 44 }),
    mailboxes: () => ({ actors: 15, waiting: 16, failed: 17 }),
    actors: () => ({ failures: 23, restarts: 24, stops: 25, stopped: 26 }),
    alerts: () => ({ raised: 27, delivered: 28, undelivered: 29 }),
    workPool: () => ({ running: 30, waiting: 31, failures: 32 }),
    hookPool: () => ({
      workers: { idle: 61, busy: 62, restarting: 63 },
      waiting: 64,
      calls: { done: 65, refused: 66, failed: 67, timeout: 68, busy: 69 },
      replaced: { timeout: 70, memory: 71, ended: 72, load: 73 },
    }),
    traces: () => ({ sampled: 33, forced: 34, skipped: 35, spans_exported: 36, spans_failed: 37 }),
    droppedLogLines: () => 38,
    redis: () => ({
      state: 'up',
      reconnects: 18,
      errors: 19,
      stalls: 20,
      adapter_failures: 0,
      adapter_denied: false,
      outage: null,
      writes: 'accepted' as const,
      refused_by: null,
      refused_writes: 0,
      memory: null,
    }),
    topTalkers: () => ({ users: [50, 51], connections: [52], topics: [] }),
    limitedUsers: () => 53,
    inboxes: () => ({
      messages: { p50: 54, p95: 55, p99: 56, count: 57 },
      fullest: [
        { messages: 58, bytes: 59, filled_percent: 60 },
        { messages: 61, bytes: 62, filled_percent: 63 },
      ],
    }),
  });
  return metrics;
}

describe('[METRIC] metrics', () => {
  const page = readFileSync(join(root, 'docs', 'telemetry.md'), 'utf8');
  let metrics: Metrics;
  beforeEach(() => (metrics = someMetrics()));
  afterEach(() => metrics.close());

  it('count events in the document that the commands of the guide read', () => {
    metrics.published = 20;
    metrics.countRefused('rate_limited');
    metrics.countRefused('rate_limited');
    metrics.countRefused('busy');
    const document = metrics.document();
    assert.equal(document.active_connections, 3);
    assert.deepEqual([document.messages.published, document.messages.refused], [20, 3]);
    assert.deepEqual(document.refused, { rate_limited: 2, busy: 1 });
    assert.deepEqual([document.rate_limit_stats.limited, document.rate_limit_stats.connection], [2, 2]);
    assert.equal(document.mailboxes.rejected, 1);
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
  });

  it('measure no delay of the event loop any more when they are closed', async () => {
    metrics.close();
    const until = performance.now() + 400;
    while (performance.now() < until);
    // The monitors have timers of 100 ms.
    await sleep(250);
    const { max, recent_p99: recent } = metrics.document().event_loop_lag_ms;
    assert.deepEqual([max, recent], [0, 0]);
  });

  it('are exported to Prometheus completely, with current values each time', async () => {
    metrics.published = 5;
    metrics.countRefused('busy');
    await metrics.prometheus();
    const text = await metrics.prometheus();
    assert.match(text, /^rtc_messages_published_total 5$/m);
    assert.match(text, /^rtc_active_connections\{wire="json"\} 1$/m);
    assert.match(text, /^rtc_refused_total\{code="busy"\} 1$/m);
    assert.match(text, /^rtc_redis_up 1$/m);
    for (const { name, type, help } of metricTable) {
      assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}`), name);
    }
  });

  it('have names that follow the rules of Prometheus, each once', () => {
    for (const { name, type } of metricTable) {
      assert.match(name, /^rtc_[a-z_]+$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
    }
    assert.equal(new Set(metricTable.map(({ name }) => name)).size, metricTable.length);
  });

  it('are listed in docs/telemetry.md, exactly these', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `rtc_'));
    assert.deepEqual(
      rows,
      metricTable.map(
        ({ name, type, label, help }) =>
          `| \`${name}\` | ${type} | ${label === undefined ? '' : `\`${label}\``} | ${help} |`,
      ),
    );
    const json = page.slice(page.indexOf('### JSON'), page.indexOf('### Prometheus'));
    const fields = [...json.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field);
    const document = metrics.document();
    assert.deepEqual(fields, Object.keys(document));
    for (const [field, value] of Object.entries(document)) {
      if (typeof value !== 'object' || field === 'refused' || field === 'latency_ms') continue;
      const row = json.split('\n').find((line) => line.startsWith(`| \`${field}\``))!;
      for (const key of Object.keys(value)) assert.ok(row.includes(`\`${key}\``), `${field}.${key}`);
    }
  });

  it('are JSON for people and text for scrapers', async () => {
    const server = express()
      .use(metricsRouter(metrics, (_request, _response, next) => next()))
      .listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
    const typeFor = async (Accept: string) =>
      (await fetch(url, { headers: { Accept } })).headers.get('content-type')!.split(';')[0];
    const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
    // As Prometheus 2 and 3 request them, and as a program that accepts any type.
    const scrapers = [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1',
      'text/plain',
    ];
    const programs = ['*/*', 'application/json', 'application/json, text/plain, */*', browser, 'image/png'];
    try {
      for (const Accept of programs) assert.equal(await typeFor(Accept), 'application/json', Accept);
      for (const Accept of scrapers) assert.equal(await typeFor(Accept), 'text/plain', Accept);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('[METRIC] quantiles', () => {
  let now = 0;
  beforeEach(() => (now = 0));
  const quantiles = () => new Quantiles(() => now);

  it('are at most 9 % above the true ones', () => {
    const some = quantiles();
    for (let ms = 1; ms <= 1000; ms++) some.observe(ms);
    for (const share of [0.01, 0.5, 0.95, 0.99, 1]) {
      const estimated = some.quantile(share);
      assert.ok(estimated >= share * 1000 && estimated <= share * 1000 * 1.091, `${share}: ${estimated}`);
    }
    assert.equal(some.summary().count, 1000);
  });

  it('are 0 without values, and bounded for extreme durations', () => {
    const some = quantiles();
    assert.deepEqual(some.summary(), { p50: 0, p95: 0, p99: 0, count: 0 });
    for (const ms of [0, -1, 1e12, Infinity]) some.observe(ms);
    assert.ok(Number.isFinite(some.quantile(1)));
  });

  it('exclude what is older than two minutes, whether they were read or not', () => {
    const some = quantiles();
    some.observe(1000);
    now = 61_000;
    some.observe(1);
    assert.ok(some.quantile(1) >= 1000);
    now = 122_000;
    some.observe(1);
    assert.ok(some.quantile(1) < 2);
    now = 400_000;
    some.observe(5);
    assert.ok(some.quantile(0.1) >= 5);
    now = 800_000;
    assert.equal(some.quantile(0.5), 0);
  });
});
