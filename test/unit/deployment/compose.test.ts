import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { settingList } from '../../../server/config/setting-list.js';
import { compose, readText, readYaml } from '../../support/deployment-files.js';
import { root } from '../../support/root.js';

const replicas = Object.entries(compose.services).filter(([, service]) => service.build !== undefined);
const addresses = replicas.map(([name]) => `${name}:8081`).sort();

describe('[DEPLOY] the compose file', () => {
  it('has two replicas without rights, the first one named as in the guide', () => {
    assert.equal(replicas.length, 2);
    assert.equal(replicas[0]![1].container_name, 'realtime-communication');
    for (const [name, service] of replicas) {
      assert.equal(service.read_only, true, name);
      assert.equal(service.user, '1000:1000', name);
      assert.deepEqual(service.cap_drop, ['ALL'], name);
      const { dockerfile, context } = service.build!;
      assert.ok(existsSync(join(root, 'docker', context, dockerfile)), name);
    }
  });

  it('gives replicas more time to end than they take', () => {
    const initial = (name: string) => Number(settingList.find((setting) => setting.name === name)!.default);
    const stopMs =
      (initial('server.drain_delay_secs') + initial('server.drain_window_secs')) * 1000 +
      initial('server.shutdown_timeout_ms');
    for (const [name, service] of replicas) {
      const changed = Object.keys(service.environment ?? {}).filter((variable) =>
        /DRAIN|SHUTDOWN/.test(variable),
      );
      assert.deepEqual(changed, [], name);
      assert.ok(parseInt(service.stop_grace_period!, 10) * 1000 >= stopMs + 5000, name);
    }
  });

  it('sets only variables that the service knows', () => {
    const known = new Set<string>(settingList.map(({ variable }) => variable));
    for (const [, service] of replicas)
      for (const variable of Object.keys(service.environment ?? {}))
        if (variable.startsWith('RTC_')) assert.ok(known.has(variable), variable);
  });

  it('mounts files that exist, and uses networks and volumes that it declares', () => {
    let mounted = 0;
    for (const [name, service] of Object.entries(compose.services)) {
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('.')) {
          assert.ok(existsSync(join(root, 'docker', source)), `${name}: ${source}`);
          mounted++;
        } else assert.ok(source in compose.volumes, `${name}: ${source}`);
      }
      for (const network of service.networks ?? []) assert.ok(network in compose.networks, name);
      const needed = service.depends_on ?? [];
      for (const other of Array.isArray(needed) ? (needed as string[]) : Object.keys(needed))
        assert.ok(other in compose.services, `${name}: ${other}`);
    }
    assert.ok(mounted >= 4);
  });

  it('keeps what Redis acknowledged, and never evicts', () => {
    const command = compose.services['redis']!.command!.join(' ');
    assert.match(command, /--appendonly yes/);
    assert.match(command, /--maxmemory-policy noeviction/);
  });

  it('has Prometheus and every proxy address each replica', () => {
    const { scrape_configs: jobs } = readYaml<{
      scrape_configs: { static_configs: { targets: string[] }[] }[];
    }>('docker/prometheus-compose.yml');
    assert.deepEqual(jobs[0]!.static_configs[0]!.targets.sort(), addresses);
    for (const file of ['nginx.conf', 'haproxy.cfg', 'traefik-routes.yaml', 'Caddyfile']) {
      const found = new Set([...readText(`docker/proxies/${file}`).matchAll(/replica-\d:8081/g)].flat());
      assert.deepEqual([...found].sort(), addresses, file);
    }
  });
});

describe('[DEPLOY] the Dockerfile', () => {
  const dockerfile = readText('docker/Dockerfile');

  it('copies files that exist, and that are not excluded from its context', () => {
    const included = new Set(
      readText('.dockerignore')
        .split('\n')
        .filter((line) => line.startsWith('!'))
        .map((line) => line.slice(1)),
    );
    const sources = [...dockerfile.matchAll(/^COPY (?:--chmod=\d+ )?(?!--from)(.+)$/gm)].flatMap(
      ([, files = '']) => files.split(' ').slice(0, -1),
    );
    assert.ok(sources.length >= 7);
    for (const source of sources) {
      assert.ok(existsSync(join(root, source)), source);
      assert.ok(included.has(source), `${source} is missing in .dockerignore`);
    }
  });

  it('copies every script that builds, with what it requires', () => {
    const [, buildStage = ''] = dockerfile.split(/^FROM .*$/m);
    const copied = [...buildStage.matchAll(/^COPY (.+)$/gm)].flatMap(([, files = '']) =>
      files.split(' ').slice(0, -1),
    );
    const required = new Set<string>();
    const follow = (script: string) => {
      if (required.has(script)) return;
      required.add(script);
      // Named in a list or required, both by a string.
      for (const [, name = ''] of readText(`scripts/${script}`).matchAll(/'(?:\.\/)?([\w-]+\.cjs)'/g))
        follow(name);
    };
    follow('build.cjs');
    assert.ok(required.size >= 4, [...required].join());
    for (const script of required)
      assert.ok(
        copied.includes('scripts') || copied.includes(`scripts/${script}`),
        `${script} is not copied`,
      );
  });

  it('runs as a numbered user that is not root, under a process that hands on signals', () => {
    assert.match(dockerfile, /^USER 1000:1000$/m);
    assert.match(dockerfile, /^ENTRYPOINT \["tini", "--", "\/app\/docker\/start\.sh"\]$/m);
    assert.ok((statSync(join(root, 'docker/start.sh')).mode & 0o111) !== 0, 'start.sh is executable');
  });
});
