import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricTable } from '../../../server/metrics/metric-table.js';
import { root } from '../../support/root.js';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const file = join(root, 'docker', 'grafana', 'realtime-communication.json');

describe('[METRIC] the dashboard', () => {
  const { panels, templating } = JSON.parse(readFileSync(file, 'utf8')) as Dashboard;
  const table = new Map(metricTable.map((row) => [row.name, row]));
  const targets = panels.flatMap(({ title, targets: some = [] }) => some.map((one) => ({ title, ...one })));
  const metricsOf = (text: string) => [...text.matchAll(/\brtc_\w+/g)].map(([name]) => name);

  it('queries only existing metrics, in every panel', () => {
    assert.ok(targets.length > 30);
    for (const { title, expr } of targets) {
      const names = metricsOf(expr);
      assert.ok(names.length > 0, title);
      for (const name of names) assert.ok(table.has(name), `${title}: ${name}`);
    }
    for (const name of metricsOf(JSON.stringify(templating))) assert.ok(table.has(name), name);
  });

  it('uses rates of counters, and values of gauges', () => {
    for (const { title, expr } of targets) {
      for (const name of metricsOf(expr)) {
        const isRate = new RegExp(`rate\\(${name}\\b`).test(expr);
        assert.equal(isRate, table.get(name)!.type === 'counter', `${title}: ${expr}`);
      }
    }
  });

  it('distinguishes values by labels that the metrics have', () => {
    for (const { title, expr, legendFormat } of targets) {
      const known = ['job', 'instance', ...metricsOf(expr).map((name) => table.get(name)!.label)];
      const asked = [
        ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */)),
        ...[...expr.matchAll(/\b(\w+)=~?"/g)].map(([, label]) => label),
        ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label),
      ];
      for (const label of asked) assert.ok(known.includes(label), `${title}: ${label}`);
    }
  });

  it('can be filtered to one replica everywhere', () => {
    assert.deepEqual(
      templating.list.map(({ name }) => name),
      ['datasource', 'job', 'instance'],
    );
    for (const { title, expr } of targets)
      assert.equal(
        metricsOf(expr).length,
        expr.split('job="$job", instance=~"$instance"').length - 1,
        `${title}: ${expr}`,
      );
  });

  it('has panels that do not overlap', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x},${y}`), title);
          taken.add(`${x},${y}`);
        }
    }
  });
});
