import assert from 'node:assert/strict';
import { settingList } from '../../../server/config/setting-list.js';
import { readText, readYaml } from '../../support/deployment-files.js';

const initial = (name: string) => Number(settingList.find((setting) => setting.name === name)!.default);
const heartbeatSecs = initial('websocket.heartbeat_interval_secs');
const clientTimeoutSecs = initial('websocket.client_timeout_secs');
const keepAliveSecs = initial('server.keep_alive_secs');

/** `1h`, `30s`, `0` and `0s`, in seconds; 0 means no limit. */
function secondsOf(text: string): number {
  const [, number, unit = 's'] = /^(\d+)(ms|s|m|h)?$/.exec(text) ?? assert.fail(text);
  return Number(number) * { ms: 0.001, s: 1, m: 60, h: 3600 }[unit as 'ms' | 's' | 'm' | 'h'];
}

/** What a line of a configuration gives for a word; each such line of the file. */
const given = (file: string, word: string): string[] => {
  const found = [
    ...readText(`docker/proxies/${file}`).matchAll(new RegExp(`^\\s*${word}:? +([^;#\\s]+)`, 'gm')),
  ];
  assert.ok(found.length > 0, `${file}: ${word}`);
  return found.map(([, value = '']) => value);
};

describe('[DEPLOY] the proxies, with the default settings of the service', () => {
  it('wait longer for either side than the service, which decides who is gone, and longer than a poll waits', () => {
    const limits = [
      ...['proxy_read_timeout', 'proxy_send_timeout'].flatMap((word) => given('nginx.conf', word)),
      ...['timeout client', 'timeout server', 'timeout tunnel'].flatMap((word) => given('haproxy.cfg', word)),
      ...['writeTimeout'].flatMap((word) => given('traefik.yaml', word)),
      ...['responseHeaderTimeout'].flatMap((word) => given('traefik-routes.yaml', word)),
      ...['stream_timeout'].flatMap((word) => given('Caddyfile', word)),
      ...[
        ...readText('docker/helm/realtime-communication/values.yaml').matchAll(
          /proxy-(?:read|send)-timeout: '(\d+)'/g,
        ),
      ].map(([, value = '']) => value),
    ].map(secondsOf);
    assert.equal(limits.length, 10);
    for (const secs of limits)
      assert.ok(secs === 0 || secs > Math.max(heartbeatSecs, clientTimeoutSecs) + 10, `${secs} s`);
    // Caddy limits neither the time to a response nor its length, unless it is told to.
    assert.doesNotMatch(
      readText('docker/proxies/Caddyfile'),
      /response_header_timeout|read_timeout|write_timeout/,
    );
  });

  it('close idle connections to replicas before the replicas do', () => {
    const upstream = /upstream replicas \{([^}]+)\}/.exec(readText('docker/proxies/nginx.conf'))![1]!;
    const idle = [
      /keepalive_timeout (\w+);/.exec(upstream)![1]!,
      ...given('traefik-routes.yaml', 'idleConnTimeout'),
      ...given('Caddyfile', 'keepalive'),
    ];
    for (const text of idle) assert.ok(secondsOf(text) > 0 && secondsOf(text) < keepAliveSecs, text);
  });

  it('pass the largest body of a poll', () => {
    const [size = ''] = given('nginx.conf', 'client_max_body_size');
    assert.match(size, /^\d+m$/);
    assert.ok(parseInt(size, 10) * 1024 * 1024 >= initial('websocket.transport_limit_bytes'));
  });
});

describe('[DEPLOY] the values of the chart', () => {
  const values = readYaml<Record<string, unknown>>('docker/helm/realtime-communication/values.yaml');
  const valueAt = (path: string): unknown =>
    path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);

  it('are in docs/deployment.md with their defaults', () => {
    const table = readText('docs/deployment.md')
      .split('| value | default | what it does |')[1]!
      .split('\n\n')[0]!;
    let compared = 0;
    for (const row of table.split('\n').filter((line) => line.startsWith('| `'))) {
      const [names = '', defaults = ''] = row.slice(2).split(' | ');
      const written = defaults.split(', ').map((text) => text.replaceAll('`', '').trim());
      for (const [n, [, name = '']] of [...names.matchAll(/`([^`]+)`/g)].entries()) {
        const value = valueAt(name);
        assert.notEqual(value, undefined, name);
        const shown = written[n] ?? written[0]!;
        if (shown === 'off') assert.equal((value as { enabled?: boolean }).enabled, false, name);
        else if (shown === 'none') assert.ok(value === '' || Object.keys(value as object).length === 0, name);
        else if (/^[\w:/.[\]{}-]+$/.test(shown))
          assert.equal(typeof value === 'object' ? JSON.stringify(value) : String(value), shown, name);
        else continue;
        compared++;
      }
    }
    assert.ok(compared >= 18, String(compared));
  });
});
