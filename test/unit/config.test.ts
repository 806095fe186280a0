import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { settingsTable } from '../../server/config/describe.js';
import { loadSettings, SettingsError } from '../../server/config/load.js';
import { settingList } from '../../server/config/setting-list.js';

describe('[CONF] settings', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-config-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const file = (content: string): string => {
    const path = join(directory, 'rtc.toml');
    writeFileSync(path, content);
    return path;
  };
  const problems = (environment: NodeJS.ProcessEnv, path?: string): readonly string[] => {
    try {
      loadSettings(environment, path);
    } catch (error) {
      assert.ok(error instanceof SettingsError);
      return error.problems;
    }
    throw new Error('the settings were accepted');
  };

  it('have the defaults of the guide', () => {
    const settings = loadSettings({});
    assert.equal(settings.server.port, 8081);
    assert.deepEqual(
      [settings.websocket.heartbeatIntervalSecs, settings.websocket.clientTimeoutSecs],
      [30, 60],
    );
    assert.equal(settings.websocket.maxMessageBytes, 65_536);
    assert.equal(settings.actorSystem.mailboxCapacity, 1000);
    assert.equal(settings.auth.leewaySecs, 60);
    assert.equal(settings.limits.connectionRps, 0);
  });

  it('come from the file, and from the environment before the file', () => {
    const path = file(
      '[websocket]\nheartbeat_interval_secs = 60\nclient_timeout_secs = 120\n[actor_system]\nmailbox_capacity = 5000\noverflow_strategy = "drop_oldest"\n',
    );
    const settings = loadSettings(
      {
        RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '90',
        PORT: '9000',
        RUST_LOG: 'debug',
        RTC_WEBSOCKET_ALLOWED_ORIGINS: 'https://a, https://b',
      },
      path,
    );
    assert.deepEqual(
      [settings.websocket.heartbeatIntervalSecs, settings.websocket.clientTimeoutSecs],
      [60, 90],
    );
    assert.deepEqual(
      [settings.actorSystem.mailboxCapacity, settings.actorSystem.overflowStrategy],
      [5000, 'drop_oldest'],
    );
    assert.deepEqual([settings.server.port, settings.logging.level], [9000, 'debug']);
    assert.deepEqual(settings.websocket.allowedOrigins, ['https://a', 'https://b']);
  });

  it('keep a secret that looks like a number as text', () => {
    assert.equal(loadSettings({ JWT_SECRET: '12345' }).auth.jwtSecret, '12345');
  });

  it('refuse unknown names and tell the nearest known one and where it stands', () => {
    const path = file('[websocket]\nheartbeat_interval = 60\n[actor_sistem]\nx = 1\n');
    const told = problems({ RTC_LIMITS_CONECTION_RPS: '1' }, path).join('\n');
    assert.match(
      told,
      /websocket\.heartbeat_interval \(file .*rtc\.toml\); did you mean websocket\.heartbeat_interval_secs\?/,
    );
    assert.match(told, /actor_sistem \(file .*\); did you mean actor_system\?/);
    assert.match(told, /variable RTC_LIMITS_CONECTION_RPS; did you mean RTC_LIMITS_CONNECTION_RPS\?/);
  });

  it('refuse wrong values, naming setting and source', () => {
    const told = problems({ PORT: '70000', RTC_OUTBOX_OVERFLOW_STRATEGY: 'drop_all' }).join('\n');
    assert.match(told, /server\.port: .*65535.*\(variable PORT\)/);
    assert.match(told, /outbox\.overflow_strategy: .*"catch_up".*\(variable RTC_OUTBOX_OVERFLOW_STRATEGY\)/);
    assert.match(problems({}, join(directory, 'none.toml'))[0]!, /none\.toml cannot be read/);
    assert.match(problems({}, file('a = [')).join(), /rtc\.toml/);
  });

  it('are frozen', () => {
    const settings = loadSettings({});
    assert.throws(() => Object.assign(settings.server, { port: 1 }), TypeError);
    assert.throws(() => (settings.permissions as unknown[]).push(1), TypeError);
  });

  it('are all described in docs/config.md, as they are', () => {
    const page = readFileSync(join(__dirname, '..', '..', 'docs', 'config.md'), 'utf8');
    assert.ok(page.includes(settingsTable()), 'the table of docs/config.md is that of `rtc config-table`');
    assert.ok(settingList.every(({ meaning }) => meaning !== ''));
  });
});
