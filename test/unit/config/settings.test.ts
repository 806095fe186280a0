import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dangersOf, listensToOthers } from '../../../server/config/dangers.js';
import { publicSettings, settingsTable } from '../../../server/config/describe.js';
import { exampleFile } from '../../../server/config/example.js';
import { hardenedValues, presentValue } from '../../../server/config/hardened.js';
import { keptValues } from '../../../server/config/kept-values.js';
import { loadSettings, SettingsError } from '../../../server/config/load.js';
import { settingList } from '../../../server/config/setting-list.js';
import { root } from '../../support/root.js';

describe('[CONF] settings', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rtc-config-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const file = (content: string | Buffer): string => {
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

  it('come from the environment, or else from the file', () => {
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

  it('refuse unknown names with the nearest known name and the source', () => {
    const path = file('[websocket]\nheartbeat_interval = 60\n[actor_sistem]\nx = 1\n');
    const told = problems({ RTC_LIMITS_CONECTION_RPS: '1' }, path).join('\n');
    assert.match(
      told,
      /websocket\.heartbeat_interval \(file .*rtc\.toml\); did you mean websocket\.heartbeat_interval_secs\?/,
    );
    assert.match(told, /actor_sistem \(file .*\); did you mean actor_system\?/);
    assert.match(told, /variable RTC_LIMITS_CONECTION_RPS; did you mean RTC_LIMITS_CONNECTION_RPS\?/);
  });

  it('refuse invalid values with the name of the setting and the source', () => {
    const told = problems({ PORT: '70000', RTC_OUTBOX_OVERFLOW_STRATEGY: 'drop_all' }).join('\n');
    assert.match(told, /server\.port: .*65535.*\(variable PORT\)/);
    assert.match(told, /outbox\.overflow_strategy: .*"catch_up".*\(variable RTC_OUTBOX_OVERFLOW_STRATEGY\)/);
    assert.match(problems({}, join(directory, 'none.toml'))[0]!, /none\.toml cannot be read/);
    assert.match(problems({}, file('a = [')).join(), /rtc\.toml/);
  });

  it('name the encoding of a file that is not UTF-8', () => {
    const text = '[server]\nport = 9001\n';
    for (const wide of [`\ufeff${text}`, text])
      assert.match(
        problems({}, file(Buffer.from(wide, 'utf16le')))[0]!,
        /rtc\.toml: it is UTF-16; save it .* UTF-8/,
      );
    const big = Buffer.from(`\ufeff${text}`, 'utf16le').swap16();
    assert.match(problems({}, file(big))[0]!, /it is UTF-16/);
    assert.match(problems({}, file(Buffer.from('# caf\xe9', 'latin1')))[0]!, /it is not UTF-8/);
    assert.equal(loadSettings({}, file(`\ufeff${text}`)).server.port, 9001);
  });

  it('refuse wrong values with the whole rule, in plain words', () => {
    const cases: [content: string, message: string][] = [
      ['[server]\nport = "http"', 'server.port: must be a whole number from 0 to 65535'],
      ['[server]\nport = 70000', 'server.port: must be a whole number from 0 to 65535'],
      ['[server]\nport = 80.5', 'server.port: must be a whole number from 0 to 65535'],
      ['[server]\nhost = 5', 'server.host: must be a string'],
      ['[server]\nreplica_id = ""', 'server.replica_id: must be a string of at least 1 character'],
      ['[server]\nenvironment = "prod"', 'server.environment: must be "development", "production" or "test"'],
      ['[websocket]\nallowed_origins = 5', 'websocket.allowed_origins: must be a list'],
      ['server = 5', 'server: must be an object'],
      ['[[permissions]]\nrole = "a"\nallow = ["publish"]', 'permissions[0].topics: is required'],
      [
        '[[permissions]]\nrole = "a"\nallow = ["publish"]\ntopics = []',
        'permissions[0].topics: must be a list of at least 1 item',
      ],
      [
        '[[permissions]]\nrole = "a"\nallow = ["read"]\ntopics = ["*"]',
        'permissions[0].allow[0]: must be "subscribe", "publish", "history", "presence" or "direct"',
      ],
      [
        '[[topics.rules]]\npattern = "a"\nhistory_ttl_secs = 0',
        'topics.rules[0].history_ttl_secs: must be a whole number of at least 1',
      ],
      [
        '[admin]\nalert_webhook_url = "ftp://alerts"',
        'admin.alert_webhook_url: must be an address that begins with http:// or https://',
      ],
      [
        '[tracing]\notlp_endpoint = 5',
        'tracing.otlp_endpoint: must be an address that begins with http:// or https://',
      ],
    ];
    for (const [content, message] of cases) {
      const path = file(content);
      assert.deepEqual(problems({}, path), [`${message} (file ${path})`]);
    }
  });

  it('never show the lines of a broken file: they may hold a secret', () => {
    const told = problems({}, file('[auth]\njwt_secret = "top secret"\nissuer = \n')).join('\n');
    assert.match(told, /rtc\.toml, line 3: /);
    assert.doesNotMatch(told, /top secret/);
  });

  it('never show a refused secret', () => {
    const told = problems({ REDIS_URL: 'http://user:hidden-password@host' }).join('\n');
    assert.match(told, /redis\.url: must be redis:.*\(variable REDIS_URL\)/);
    assert.doesNotMatch(told, /hidden-password/);
  });

  it('refuse inconsistent values', () => {
    assert.match(
      problems({ RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '30' })[0]!,
      /^websocket\.client_timeout_secs: must be longer than heartbeat_interval_secs \(variable RTC_/,
    );
    assert.match(
      problems({ RTC_WEBSOCKET_TRANSPORT_LIMIT_BYTES: '1000' })[0]!,
      /^websocket\.max_message_bytes: must be at most transport_limit_bytes/,
    );
  });

  it('refuse a section that is not a table, and name the invalid element of a list', () => {
    assert.match(problems({ PORT: '9000' }, file('server = 5'))[0]!, /^server: .*object.*\(variable|file/);
    assert.match(
      problems({}, file('[[topics.rules]]\npattern = "ok.*"\n[[topics.rules]]\npattern = "not ok"\n'))[0]!,
      /^topics\.rules\[1\]\.pattern: /,
    );
  });

  it('read log filters by module, in short and as in the guide, and refuse what is none', () => {
    const directives =
      'realtime_communication::actor=trace,realtime_communication::routing=debug,actix_web=info';
    assert.equal(loadSettings({ RUST_LOG: directives }).logging.level, directives);
    assert.equal(loadSettings({ LOG_LEVEL: 'routing=debug,info' }).logging.level, 'routing=debug,info');
    assert.equal(loadSettings({ RUST_LOG: 'warn', LOG_LEVEL: 'debug' }).logging.level, 'debug');
    for (const wrong of ['verbose', 'routing=loud', 'a=b=c'])
      assert.match(
        problems({ LOG_LEVEL: wrong })[0]!,
        /^logging\.level: must be a level.*\(variable LOG_LEVEL\)/,
      );
  });

  it('treat an empty variable as not set, and prefer the long name to the short one', () => {
    const settings = loadSettings({
      RTC_REDIS_URL: '',
      RTC_TOPICS_HISTORY_SIZE: '',
      RTC_CONFIG: '',
      JWT_SECRET: '',
    });
    assert.deepEqual([settings.redis.url, settings.auth.jwtSecret], [undefined, undefined]);
    assert.equal(loadSettings({ RTC_SERVER_PORT: '1', PORT: '2' }).server.port, 1);
  });

  it('can all be set in the environment', () => {
    const environment: NodeJS.ProcessEnv = {};
    const examples: Record<string, string> = {
      'redis.url': 'redis://r',
      'logging.level': 'debug',
      'server.trusted_proxies': '10.0.0.0/8,::1',
      'websocket.allowed_origins': 'https://a.example,https://b.example',
      'admin.alert_webhook_url': 'http://alerts',
      'tracing.otlp_endpoint': 'http://collector',
      permissions: '[{"role":"a","topics":["*"],"allow":["publish"]}]',
    };
    for (const { name, kind, limits, variable, ...rest } of settingList) {
      const choice = limits.includes(', ') ? limits.split(', ').at(-1)! : 'abc';
      const value = {
        text: choice,
        number: String((Number(rest.default) || 0) + 1),
        texts: 'a,b',
        tables: '[]',
      }[kind];
      environment[variable] = examples[name] ?? value;
    }
    const settings = loadSettings(environment) as unknown as Record<string, Record<string, unknown>>;
    const camelCase = (name: string) =>
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const defaults = loadSettings({}) as unknown as typeof settings;
    for (const { name, section, key } of settingList) {
      const read = (all: typeof settings) =>
        key === undefined ? all[camelCase(section)] : all[camelCase(section)]![camelCase(key)];
      if (name !== 'topics.rules') assert.notDeepEqual(read(settings), read(defaults), name);
    }
  });

  it('are all in config.example.toml, with their defaults', () => {
    const path = join(root, 'config.example.toml');
    assert.equal(
      readFileSync(path, 'utf8'),
      `${exampleFile()}\n`,
      'the file is the output of `rtc config-example`',
    );
    assert.deepEqual(loadSettings({}, path), loadSettings({}));
  });

  it('refuse a secret of less than 32 bytes in production only', () => {
    const short = { JWT_SECRET: 'x'.repeat(31) };
    assert.equal(loadSettings(short).auth.jwtSecret, short.JWT_SECRET);
    for (const secret of ['a', '   ', short.JWT_SECRET])
      assert.deepEqual(problems({ NODE_ENV: 'production', JWT_SECRET: secret }), [
        'auth.jwt_secret: must have at least 32 bytes in production: make one by openssl rand -base64 32 (variable JWT_SECRET)',
      ]);
    const long = { NODE_ENV: 'production', JWT_SECRET: 'ä'.repeat(16) };
    assert.equal(loadSettings(long).auth.jwtSecret, long.JWT_SECRET);
  });

  it('have other defaults in the profile hardened, and what is set explicitly wins', () => {
    const secret = { JWT_SECRET: 'x'.repeat(32) };
    const profile = { ...secret, RTC_SERVER_PROFILE: 'hardened' };
    const hardened = loadSettings(profile);
    for (const { name, value } of hardenedValues) assert.deepEqual(presentValue(hardened, name), value, name);
    assert.deepEqual(dangersOf(hardened), []);
    const explicit = loadSettings(
      { ...profile, RTC_LIMITS_USER_RPS: '0', NODE_ENV: 'test' },
      file('[auth]\nrequire_exp = "off"\n[[permissions]]\nrole = "a"\ntopics = ["x"]\nallow = ["publish"]\n'),
    );
    assert.deepEqual(
      [explicit.limits.userRps, explicit.auth.requireExp, explicit.server.environment],
      [0, 'off', 'test'],
    );
    assert.equal(explicit.permissions.length, 1);
    assert.equal(explicit.limits.connectionRps, 100, 'the others come from the profile');
    const inFile = loadSettings(secret, file('[server]\nprofile = "hardened"\n'));
    assert.deepEqual(inFile, hardened);
    assert.match(
      problems({ RTC_SERVER_PROFILE: 'hardened', JWT_SECRET: 'a' })[0]!,
      /^auth\.jwt_secret: must have at least 32 bytes/,
    );
  });

  it('name each danger with its remedy', () => {
    const settingsOf = (environment: NodeJS.ProcessEnv) =>
      dangersOf(loadSettings(environment)).map(({ setting }) => setting);
    const usual = settingsOf({});
    for (const setting of [
      'websocket.allowed_origins',
      'permissions',
      'auth.require_exp',
      'server.metrics_access',
      'limits.user_rps',
      'limits.untrusted_forwarders',
      'limits.user_stored_bytes',
      'limits.user_new_topics',
    ])
      assert.ok(usual.includes(setting), setting);
    assert.ok(
      dangersOf(loadSettings({})).every(
        ({ risk, remedy, setting }) => risk !== '' && remedy.includes(setting),
      ),
    );
    const redis = (url: string) =>
      settingsOf({ REDIS_URL: url }).filter((setting) => setting === 'redis.url').length;
    assert.deepEqual(
      [
        'redis://10.0.0.1',
        'redis://:pw@redis',
        'rediss://redis',
        'rediss://:pw@redis',
        'redis://127.0.0.1',
        'redis://[::1]:1',
        'redis://localhost',
      ].map(redis),
      [2, 1, 1, 0, 0, 0, 0],
    );
    assert.deepEqual(
      ['0.0.0.0', '::', '192.0.2.1', 'example.org', '127.0.0.1', '127.9.9.9', '::1', 'localhost'].map(
        (host) => listensToOthers(loadSettings({ HOST: host })),
      ),
      [true, true, true, true, false, false, false, false],
    );
  });

  it('are dangerous where an explicit value is weaker than the profile hardened, which keeps the default', () => {
    const hardened = { JWT_SECRET: 'x'.repeat(32), RTC_SERVER_PROFILE: 'hardened' };
    const found = (changes: NodeJS.ProcessEnv, content?: string) =>
      dangersOf(
        loadSettings({ ...hardened, ...changes }, content === undefined ? undefined : file(content)),
      ).map(({ setting, isOff }) => `${setting}${isOff ? ' off' : ''}`);
    const variable = (name: string) => `RTC_${name.replace('.', '_').toUpperCase()}`;
    for (const [name, value, isOff] of [
      ['server.trusted_proxies', '0.0.0.0/0', true],
      ['server.trusted_proxies', 'loopback,::/0', true],
      ['server.trusted_proxies', '0.0.0.0/1,128.0.0.0/1', true],
      ['server.max_tcp_connections', '0', true],
      ['server.max_tcp_connections', '100001', false],
      ['websocket.handshakes_per_sec', '0', true],
      ['websocket.max_unjoined', '0', true],
      ['websocket.max_connections', '20001', false],
      ['limits.abuse_refusals', '0', true],
      ['limits.waste_packets_per_sec', '0', true],
      ['limits.waste_packets_per_sec', '501', false],
      ['limits.http_bodies_bytes', '0', true],
      ['limits.user_quota_window_secs', '1', true],
      ['limits.user_quota_window_secs', '1800', false],
      ['limits.http_window_secs', '1', true],
      ['limits.http_window_secs', '30', false],
      ['redis.reserved_memory_percent', '0', true],
      ['redis.reserved_memory_percent', '5', false],
      ['direct.inbox_sender_percent', '100', true],
      ['direct.inbox_sender_percent', '60', false],
      ['topics.idempotency_scope', 'topic', true],
      ['auth.leeway_secs', '301', true],
    ] as const)
      assert.deepEqual(
        found({ [variable(name)]: value }),
        [`${name}${isOff ? ' off' : ''}`],
        `${name} = ${value}`,
      );
    for (const pattern of ['*', '**', '*.*', '*.**'])
      assert.deepEqual(
        found({}, `[[permissions]]\nrole = "*"\ntopics = ["a", "${pattern}"]\nallow = ["publish"]\n`),
        ['permissions off'],
        pattern,
      );
    for (const harmless of [
      { RTC_SERVER_TRUSTED_PROXIES: '10.0.0.0/8,private,2001:db8::/32' },
      { RTC_LIMITS_HTTP_WINDOW_SECS: '1', RTC_LIMITS_HTTP_REQUESTS: '100', RTC_LIMITS_ADMIN_REQUESTS: '100' },
      {
        RTC_AUTH_LEEWAY_SECS: '300',
        RTC_DIRECT_INBOX_SENDER_PERCENT: '10',
        RTC_REDIS_RESERVED_MEMORY_PERCENT: '20',
      },
    ])
      assert.deepEqual(found(harmless), []);
    assert.deepEqual(
      found({}, '[[permissions]]\nrole = "*"\ntopics = ["news.*"]\nallow = ["subscribe"]\n'),
      [],
    );
  });

  it('are compared with the profile hardened wherever 0 stands for no limit', () => {
    const compared = new Set([...hardenedValues, ...keptValues].map(({ name }) => name));
    const unlimited = settingList.filter(({ meaning }) => /\b0 for (?:no limit|never)\b/.test(meaning));
    assert.ok(unlimited.length > 15, `${unlimited.length} are found`);
    assert.deepEqual(
      unlimited.map(({ name }) => name).filter((name) => !compared.has(name)),
      [],
    );
  });

  it('are shown without what addresses may hold of secrets', () => {
    const shown = JSON.stringify(
      publicSettings(
        loadSettings({
          JWT_SECRET: 'hidden-1',
          REDIS_URL: 'rediss://user:hidden-2@host:1/0?password=hidden-3',
          OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:hidden-4@collector/x?api_key=hidden-5',
          RTC_ADMIN_ALERT_WEBHOOK_URL: 'https://hooks.example/hidden-6',
        }),
      ),
    );
    assert.doesNotMatch(shown, /hidden-\d/);
  });

  it('are frozen', () => {
    const settings = loadSettings({});
    assert.throws(() => Object.assign(settings.server, { port: 1 }), TypeError);
    assert.throws(() => (settings.permissions as unknown[]).push(1), TypeError);
  });

  it('are all described in docs/config.md, with the same text', () => {
    const page = readFileSync(join(root, 'docs', 'config.md'), 'utf8');
    assert.ok(page.includes(settingsTable()), 'the table of docs/config.md is that of `rtc config-table`');
    assert.ok(settingList.every(({ meaning }) => meaning !== ''));
  });
});
