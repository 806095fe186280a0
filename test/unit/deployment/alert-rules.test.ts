import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { metricTable } from '../../../server/metrics/metric-table.js';
import { root } from '../../support/root.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string; readonly page: string };
}

const read = (name: string): unknown => parse(readFileSync(join(root, 'docker', name), 'utf8'));
const { groups } = read('prometheus-alerts.yml') as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

/** What is no name of a metric in the rules. */
const words = new Set(['and', 'or', 'unless', 'on', 'ignoring', 'without', 'by']);

describe('[DEPLOY] the alert rules of Prometheus', () => {
  it('have a name, a severity, a summary, a command and a page each', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    assert.ok(rules.length > 10);
    for (const rule of rules) {
      const { alert, labels, annotations, ...rest } = rule;
      assert.match(alert, /^Rtc[A-Z][A-Za-z]+$/);
      assert.match(labels.severity, /^(critical|warning)$/, alert);
      assert.deepEqual(Object.keys(annotations).sort(), ['action', 'page', 'summary'], alert);
      assert.match(rest.for ?? '1m', /^\d+[smh]$/, alert);
      assert.deepEqual(
        Object.keys(rest).filter((key) => key !== 'for'),
        ['expr'],
        alert,
      );
    }
  });

  it('are the same in the Helm chart', () => {
    const text = (name: string) => readFileSync(join(root, 'docker', name), 'utf8');
    const chart = 'helm/realtime-communication/files/prometheus-alerts.yml';
    assert.equal(text(chart), text('prometheus-alerts.yml'), 'copy docker/prometheus-alerts.yml there');
  });

  it('name metrics and labels that exist', () => {
    const known = new Map(metricTable.map(({ name, label }) => [name, label]));
    for (const { alert, expr } of rules) {
      const found = [...expr.matchAll(/\b(rtc_\w+)(?:\{([^}]*)\})?/g)];
      assert.ok(found.length > 0 || /^up\{/.test(expr), alert);
      for (const [, name, selectors = ''] of found) {
        assert.ok(known.has(name!), `${alert}: ${name}`);
        for (const [, label] of selectors.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
          assert.equal(label, known.get(name!), `${alert}: ${name} has no label ${label}`);
      }
      for (const [, label] of expr.matchAll(/\b(?:without|ignoring|by)\s*\((\w+)\)/g))
        assert.ok([...known.values()].includes(label), `${alert}: ${label}`);
    }
  });

  it('are balanced, and call functions that Prometheus knows', () => {
    const functions = new Set(['increase', 'rate', 'max_over_time', 'sum']);
    for (const { alert, expr } of rules) {
      const bare = expr.replace(/"[^"]*"/g, '""');
      for (const [open, close] of ['()', '{}', '[]'])
        assert.equal(bare.split(open!).length, bare.split(close!).length, `${alert}: ${expr}`);
      for (const [, name] of bare.matchAll(/\b([a-z_]+)\s*\(/g))
        assert.ok(functions.has(name!) || words.has(name!), `${alert}: ${name}`);
      // Prometheus refuses a matching of labels between a number and a vector.
      assert.doesNotMatch(bare, /[\d.]\s*[*/+-]\s*(ignoring|on)\b/, alert);
      // Each alert compares something: else it would fire for ever, or never.
      assert.match(bare, /(==|>=?|<=?)/, alert);
    }
  });

  it('lead to pages, and headings, that exist', () => {
    for (const { alert, annotations } of rules) {
      const [file, heading] = annotations.page.split('#');
      assert.ok(existsSync(join(root, file!)), `${alert}: ${file}`);
      if (heading === undefined) continue;
      const headings = [...readFileSync(join(root, file!), 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
        text!
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .trim()
          .replaceAll(' ', '-'),
      );
      assert.ok(headings.includes(heading), `${alert}: ${annotations.page}`);
    }
  });

  it('are loaded by both configurations of Prometheus', () => {
    for (const name of ['prometheus.yml', 'prometheus-compose.yml']) {
      const { rule_files: files } = read(name) as { rule_files: string[] };
      assert.match(files[0]!, /(^|\/)prometheus-alerts\.yml$/, name);
    }
    const compose = readFileSync(join(root, 'docker', 'compose.yaml'), 'utf8');
    assert.match(compose, /\.\/prometheus-alerts\.yml:\/etc\/prometheus\/prometheus-alerts\.yml:ro/);
  });
});
