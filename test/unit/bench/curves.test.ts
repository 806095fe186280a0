import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lineChart } from '../../../bench/curves/chart.js';
import { pointOf, type Point } from '../../../bench/curves/point.js';
import {
  comparePublished,
  describeComparison,
  type PublishedFigure,
} from '../../../bench/curves/published.js';
import { chartsOf, tableOf } from '../../../bench/curves/report.js';
import { curveWorks } from '../../../bench/curves/works.js';
import type { Measurement, SideName } from '../../../bench/processes.js';
import { root } from '../../support/root.js';

const measurement = (values: Partial<Measurement>): Measurement =>
  ({
    offered: 1000,
    delivered: 500_000,
    windowMs: 1000,
    cpuSecs: 0.5,
    loadCpuSecs: 0.3,
    otherCpuSecs: 0.05,
    p50: 10,
    p99: 20,
    p999: 30,
    missing: 0,
    disorder: 0,
    ...values,
  }) as Measurement;

const at = { work: 'one-topic', side: 'rtc-alone' as SideName, load: 1000 };

describe('the curves of the benchmark', () => {
  it('have points that are the medians of their rounds', () => {
    const point = pointOf(
      at,
      [measurement({}), measurement({ p99: 90, cpuSecs: 0.7 }), measurement({ p99: 22 })],
      500,
    );
    assert.equal(point.p99, 22);
    assert.equal(point.cpuPerDeliveryUs, 1);
    assert.deepEqual([point.isComplete, point.loadCores, point.delivered], [true, 0.3, 1]);
  });

  it('show which side has fallen behind, has lost messages, or was not the limit', () => {
    const [work] = curveWorks;
    const state = (values: Partial<Measurement>) =>
      tableOf(work!, [pointOf(at, [measurement(values)], 500)])
        .split('\n')
        .at(-1)!;
    assert.match(state({}), /complete, in order \|$/);
    assert.match(state({ delivered: 300_000 }), /falls behind: 60 % in time/);
    assert.match(state({ missing: 1 }), /falls behind/);
    assert.match(state({ loadCpuSecs: 0.8 }), /void: the load process/);
    assert.match(state({ otherCpuSecs: 0.5 }), /void: other programs used 0\.50 cores/);
  });

  it('are drawn without the points that say nothing about their side', () => {
    const [work] = curveWorks;
    const points = [
      pointOf({ ...at, load: 100 }, [measurement({})], 500),
      pointOf({ ...at, load: 500 }, [measurement({ loadCpuSecs: 0.9 })], 500),
      pointOf({ ...at, load: 1000 }, [measurement({ delivered: 1000 })], 500),
      pointOf({ ...at, load: 2000 }, [measurement({ p99: 200 })], 500),
    ];
    const [latency, cpu] = chartsOf(work!, points);
    assert.deepEqual([latency!.name, cpu!.name], ['one-topic-p99.svg', 'one-topic-cpu.svg']);
    assert.equal(latency!.svg.match(/<circle/g)!.length, 2);
  });

  it('are drawn on logarithmic axes that hold every point, in well-formed SVG', () => {
    const svg = lineChart({
      title: 'a < b & c',
      xTitle: 'x',
      yTitle: 'y',
      series: [
        {
          name: 'one',
          points: [
            [1, 0],
            [30, 7],
            [90_000, 1200],
          ],
        },
        { name: 'none', points: [] },
      ],
    });
    assert.match(svg, /a &lt; b &amp; c/);
    for (const [, x, y] of svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)) {
      assert.ok(Number(x) >= 64 && Number(x) <= 470, x);
      assert.ok(Number(y) >= 44 && Number(y) <= 310, y);
    }
    assert.match(svg, />100k</);
    assert.equal(svg.match(/<text/g)!.length, svg.match(/<\/text>/g)!.length);
  });

  it('hold the published figures until one has drifted by more than its tolerance', () => {
    const figure: PublishedFigure = {
      work: 'one-topic',
      load: 1000,
      side: 'rtc-alone',
      against: 'uws',
      ratio: 0.5,
      tolerance: 0.25,
      processor: 'Abacus',
    };
    const points = [
      { ...pointOf(at, [measurement({})], 500) },
      { ...pointOf({ ...at, side: 'uws' }, [measurement({ cpuSecs: 1 })], 500) },
    ] satisfies Point[];
    const drifted = (published: PublishedFigure) => comparePublished([published], points)[0]!;
    assert.equal(drifted(figure).hasDrifted, false);
    // A third better than measured.
    assert.equal(drifted({ ...figure, ratio: 0.5 / 1.34 }).hasDrifted, true);
    assert.equal(drifted({ ...figure, ratio: 0.9 }).hasDrifted, true);
    assert.equal(drifted({ ...figure, load: 3 }).hasDrifted, true, 'not measured');
    assert.match(describeComparison(drifted({ ...figure, ratio: 0.3 })), /measured 0\.500 \(\+67 %.*DRIFTED/);
  });

  it('contain each published figure, and docs/performance.md shows it', () => {
    const figures = JSON.parse(
      readFileSync(join(root, 'bench', 'published.json'), 'utf8'),
    ) as PublishedFigure[];
    const page = readFileSync(join(root, 'docs', 'performance.md'), 'utf8');
    assert.ok(figures.length > 0);
    for (const { work: name, load, side, against, ratio, tolerance, processor } of figures) {
      const work = curveWorks.find((one) => one.name === name);
      assert.ok(work !== undefined && work.loads.includes(load), `${name} ${load}`);
      assert.ok(work.sides.includes(side) && work.sides.includes(against), `${side} ${against}`);
      assert.ok(tolerance < 1 / 3, 'an edit by a third is found');
      assert.ok(processor.length > 0, 'ratios depend on the processor');
      assert.ok(
        page.includes(`| ${name} | ${load} | ${against} | ${ratio} |`),
        `${name} ${load} ${against} ${ratio}`,
      );
    }
  });
});
