import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '../../../server/config/load.js';
import { metricTable } from '../../../server/metrics/metric-table.js';
import {
  checkManifest,
  checkValues,
  readYaml,
  rendered,
  type Manifest,
} from '../../support/deployment-files.js';
import { settingList } from '../../../server/config/setting-list.js';

interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: object;
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
}
interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly Container[];
  readonly volumes?: readonly object[];
}

const chart = 'docker/helm/realtime-communication';
const find = (objects: readonly Manifest[], kind: string): Manifest => {
  const object = objects.find((one) => one.kind === kind);
  assert.ok(object, kind);
  return object;
};
const workloadOf = (objects: readonly Manifest[]): Manifest =>
  objects.find(({ kind }) => kind === 'Deployment') ?? find(objects, 'StatefulSet');
const podOf = (objects: readonly Manifest[]): Pod =>
  (workloadOf(objects).spec as { template?: { spec: Pod } }).template!.spec;
const copyOf = (manifest: Manifest) => JSON.parse(JSON.stringify(manifest)) as Manifest;

describe('[DEPLOY] the chart', () => {
  it('renders to manifests that the schemas of Kubernetes accept', () => {
    assert.deepEqual([...rendered.keys()].sort(), ['default.yaml', 'full.yaml', 'keda.yaml']);
    for (const [file, objects] of rendered) {
      assert.ok(objects.length >= 5, `${file} has ${objects.length} objects`);
      assert.deepEqual(objects.flatMap(checkManifest), [], file);
    }
  });

  it('would not pass with an unknown field, a wrong type, or a kind without a schema', () => {
    const workload = find(rendered.get('default.yaml')!, 'StatefulSet');
    const misspelt = copyOf(workload);
    (podOf([misspelt]) as { containerz?: object }).containerz = [];
    assert.match(checkManifest(misspelt).join(), /containerz/);
    const mistyped = copyOf(workload);
    (mistyped.spec as { replicas?: unknown }).replicas = 'two';
    assert.match(checkManifest(mistyped).join(), /replicas/);
    assert.match(checkManifest({ ...workload, kind: 'StatefullSet' }).join(), /no schema/);
  });

  it('refuses values that it does not know', () => {
    const values = readYaml<Record<string, unknown>>(`${chart}/values.yaml`);
    assert.deepEqual(checkValues(values), []);
    assert.match(checkValues({ ...values, replicas: 3 }).join(), /replicas/);
    assert.match(checkValues({ ...values, kind: 'DaemonSet' }).join(), /kind/);
  });

  it('is rendered with every value set', () => {
    const paths = (value: unknown, path = ''): string[] =>
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
        ? Object.entries(value).flatMap(([key, inner]) => [
            `${path}${key}`,
            ...paths(inner, `${path}${key}.`),
          ])
        : [];
    const known = paths(readYaml(`${chart}/values.yaml`));
    const given = new Set(
      ['full', 'keda'].flatMap((name) => paths(readYaml(`${chart}/ci/${name}-values.yaml`))),
    );
    // Of free objects only the object itself.
    const free = /^(autoscaling\.behavior|keda\.behavior|resources|\w+Probe)\./;
    const missing = known.filter((path) => !given.has(path) && !free.test(path));
    assert.deepEqual(missing, []);
  });

  it('gives containers no right that the service does not need', () => {
    for (const [file, objects] of rendered) {
      const [container] = podOf(objects).containers;
      assert.deepEqual(
        container!.securityContext,
        {
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
        file,
      );
      assert.deepEqual(
        (podOf(objects) as { securityContext?: { runAsNonRoot: boolean } }).securityContext?.runAsNonRoot,
        true,
      );
      assert.equal(
        (podOf(objects) as { automountServiceAccountToken?: boolean }).automountServiceAccountToken,
        false,
      );
    }
  });

  it('gives pods more time to end than the service takes', () => {
    for (const [file, objects] of rendered) {
      const pod = podOf(objects);
      const container = pod.containers[0]!;
      const sleepSecs = Number(container.lifecycle.preStop.exec.command[1]);
      const numberOf = (variable: string) =>
        Number(container.env.find(({ name }) => name === `RTC_SERVER_${variable}`)?.value);
      const shutdownSecs = numberOf('SHUTDOWN_TIMEOUT_MS') / 1000;
      const windowSecs = numberOf('DRAIN_WINDOW_SECS');
      assert.ok(sleepSecs > 0 && shutdownSecs > 0 && windowSecs > 0, file);
      const stopSecs = sleepSecs + numberOf('DRAIN_DELAY_SECS') + windowSecs + shutdownSecs;
      assert.ok(pod.terminationGracePeriodSeconds >= stopSecs + 5, file);
    }
  });

  it('sets only variables that the service knows', () => {
    const known = new Set(settingList.map(({ variable }) => variable));
    for (const [file, objects] of rendered)
      for (const { name } of podOf(objects).containers[0]!.env)
        if (name.startsWith('RTC_') && name !== 'RTC_CONFIG') assert.ok(known.has(name), `${file}: ${name}`);
  });

  it('writes settings as a file that the service reads', () => {
    const { data } = find(rendered.get('full.yaml')!, 'ConfigMap');
    const directory = mkdtempSync(join(tmpdir(), 'rtc-chart-'));
    try {
      const file = join(directory, 'rtc.toml');
      writeFileSync(file, data!['rtc.toml']!);
      const settings = loadSettings({}, file);
      assert.equal(settings.websocket.maxConnections, 20_000);
      assert.equal(settings.server.profile, 'hardened');
      assert.deepEqual(settings.permissions, [
        { role: 'user', topics: ['public.*'], allow: ['subscribe', 'publish'] },
      ]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('scales by metrics that the service has', () => {
    const known = new Set(metricTable.map(({ name }) => name));
    const scaling = [...rendered.values()].flat().filter(({ kind }) => kind !== 'PrometheusRule');
    const text = JSON.stringify(scaling);
    const named = new Set(text.match(/\brtc_[a-z_]+/g));
    assert.deepEqual([...named].sort(), ['rtc_active_connections', 'rtc_event_loop_lag_ms']);
    for (const name of named) assert.ok(known.has(name), name);
  });

  it('has the alert rules, with the name of its Service as the job', () => {
    const { spec } = find(rendered.get('full.yaml')!, 'PrometheusRule') as unknown as {
      spec: { groups: { rules: { alert: string; expr: string }[] }[] };
    };
    const { name } = find(rendered.get('full.yaml')!, 'Service').metadata;
    const { groups } = readYaml<typeof spec>('docker/prometheus-alerts.yml');
    assert.ok(groups[0]!.rules.length > 10);
    const renamed = groups[0]!.rules.map(({ expr, ...rule }) => ({
      expr: expr.replace('job="realtime-communication"', `job="${name}"`),
      ...rule,
    }));
    assert.deepEqual(spec.groups[0]!.rules, renamed, 'npm run test:deploy -- chart --write');
    assert.match(renamed[0]!.expr, new RegExp(`^up\\{job="${name}"\\} == 0$`));
  });

  it('replaces one pod at a time, as a StatefulSet and as a Deployment', () => {
    const statefulSet = find(rendered.get('default.yaml')!, 'StatefulSet').spec as Record<string, unknown>;
    assert.equal(statefulSet['podManagementPolicy'], 'Parallel');
    assert.deepEqual(statefulSet['updateStrategy'], { type: 'RollingUpdate' });
    assert.ok(Number(statefulSet['minReadySeconds']) > 0);
    const values = readYaml<{ strategy: { rollingUpdate: object } }>(`${chart}/values.yaml`);
    assert.deepEqual(values.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
    // An autoscaler sets the number: a fixed one would undo it at each upgrade.
    assert.equal(
      (find(rendered.get('full.yaml')!, 'Deployment').spec as { replicas?: 1 }).replicas,
      undefined,
    );
  });

  it('selects the pods that it makes, by Services, budget, policy and monitor', () => {
    for (const [file, objects] of rendered) {
      const { template } = workloadOf(objects).spec as unknown as {
        template: { metadata: { labels: Record<string, string> } };
      };
      const selects = (selector: Record<string, string>) =>
        Object.entries(selector).every(([key, value]) => template.metadata.labels[key] === value);
      let selectors = 0;
      for (const { kind, spec } of objects as unknown as readonly {
        kind: string;
        spec: Record<string, unknown>;
      }[]) {
        const selector =
          kind === 'Service'
            ? spec['selector']
            : ['PodDisruptionBudget', 'ServiceMonitor'].includes(kind)
              ? (spec['selector'] as { matchLabels: unknown }).matchLabels
              : kind === 'NetworkPolicy'
                ? (spec['podSelector'] as { matchLabels: unknown }).matchLabels
                : undefined;
        if (selector === undefined) continue;
        selectors++;
        assert.ok(selects(selector as Record<string, string>), `${file}: ${kind}`);
      }
      assert.ok(selectors >= 2, file);
    }
  });
});
