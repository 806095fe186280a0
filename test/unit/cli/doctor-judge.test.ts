import assert from 'node:assert/strict';
import { doctorCodes } from '../../../server/cli/doctor/codes.js';
import { judge } from '../../../server/cli/doctor/judge.js';
import type { Observations } from '../../../server/cli/doctor/observations.js';
import {
  day,
  healthyObservations as healthy,
  metrics,
  withOther as but,
} from '../../support/doctor-observations.js';

const failing = (step: string, code: string) => [
  'probe.failures',
  [{ url: 'https://rtc.example', step, code, message: 'words' }],
];
const refused = (who: string, status: number, code: string, message = 'words') => [
  `${who}.refusal`,
  { status, code, message },
];

const writesRefusedBy = (by: string) => ({
  ...healthy.health.redis,
  writes: 'refused',
  refused_by: by,
});

/** What is seen, by the only code that is found. */
const seen: Record<string, (readonly [string, unknown])[] | unknown[][]> = {
  'RTC-ADDRESS-01': [['reach.addresses', []]],
  'RTC-ADDRESS-03': [['health', null]],
  'RTC-ADDRESS-04': [['reach.tls.problem', 'self-signed']],
  'RTC-ADDRESS-05': [['reach.tls.expires_at', 1003 * day]],
  'RTC-ADDRESS-06': [['health.phase', 'draining']],
  'RTC-CLOCK-01': [
    ['probe.clock_ahead_ms', 20_000],
    ['probe.clock_ahead_ms', -300_000],
  ],
  'RTC-TOKEN-01': [['token.source', null]],
  'RTC-TOKEN-09': [['operator.source', null], refused('operator', 403, 'forbidden')],
  'RTC-TOKEN-10': [failing('publish', 'forbidden')],
  'RTC-SWITCH-01': [['health.mode', 'read_only']],
  'RTC-SWITCH-02': [['health.accepts_connections', false]],
  'RTC-SWITCH-03': [['health.presence', 'shed']],
  'RTC-SWITCH-04': [['health.frozen_topics', 2]],
  'RTC-SWITCH-05': [['admin.rates_switched_by', 'olga']],
  'RTC-PROXY-01': [['upgrade', { status: 426, code: 'upgrade_required', message: '' }]],
  'RTC-PROXY-02': [['idle.closed_after_ms', 60_000]],
  'RTC-PROXY-03': [['polling.lost', 2]],
  'RTC-PROXY-04': [['idle.heartbeats', 0]],
  'RTC-PROXY-05': [
    ...[404, 403, 429, 502, 503, 504].map((status) => [
      'upgrade',
      { status, code: `http_${status}`, message: `${status} nginx` },
    ]),
    // A page for every path, or a page to log in.
    ...[200, 302].map((status) => ['upgrade', { status, code: `http_${status}`, message: 'a page' }]),
    ['upgrade', { status: 404, code: 'not_found', message: 'another path' }],
    ['polling', { lost: 0, requests: 0, refusal: { status: 404, code: 'http_404', message: '' } }],
    refused('token', 404, 'http_404'),
    refused('operator', 403, 'http_403'),
    refused('operator', 404, 'not_found'),
  ],
  'RTC-PROXY-06': [refused('token', 401, 'unauthorized', 'no token: give it as a header')],
  'RTC-CAPACITY-01': [['upgrade', { status: 503, code: 'at_capacity', message: 'full' }]],
  'RTC-CAPACITY-02': [['health.connections', 950]],
  'RTC-CAPACITY-03': [['admin.replicas.1.event_loop_lag_ms.recent_p99', 800]],
  'RTC-CAPACITY-04': [['admin.replicas.1.outboxes.slow', 5]],
  'RTC-CAPACITY-05': [['admin.replicas.1.file_descriptors.open', 950]],
  'RTC-CAPACITY-06': [
    ['admin.replicas.1.memory.rss_bytes', 950],
    ['admin.replicas.0.memory.heap_used_bytes', 950],
  ],
  'RTC-LIMIT-01': [['admin.settings.max_message_bytes', 16], failing('publish', 'message_too_large')],
  'RTC-LIMIT-02': [
    failing('publish', 'rate_limited'),
    failing('publish', 'busy'),
    refused('token', 429, 'rate_limited'),
    refused('operator', 429, 'rate_limited'),
  ],
  'RTC-MESSAGES-01': [
    failing('connect', 'no_connection'),
    ['upgrade', { status: 0, code: 'no_answer', message: 'no answer within 10000 ms' }],
    ['upgrade', { status: 500, code: 'internal', message: 'words' }],
  ],
  'RTC-MESSAGES-02': [failing('receive', 'lost')],
  'RTC-MESSAGES-03': [failing('order', 'out_of_order')],
  'RTC-MESSAGES-04': [['probe.slowest_ms', 2000]],
  'RTC-REDIS-01': [
    ['health.redis.state', 'down'],
    ['redis.problem', 'connect ECONNREFUSED'],
    // A part of a Redis Cluster.
    ['health.redis.outage', 'unreachable'],
    ['health.redis.outage', 'cluster'],
  ],
  'RTC-REDIS-02': [
    ['health.redis.writes', 'refused'],
    ...['MISCONF', 'READONLY', 'NOREPLICAS', 'OOM'].map((by) => ['health.redis', writesRefusedBy(by)]),
  ],
  'RTC-REDIS-03': [
    ['health.redis.memory.level', 'scarce'],
    ['redis.fields.used_memory', '90'],
  ],
  'RTC-REDIS-04': [
    ['redis.policy', 'allkeys-lru'],
    ['admin.replicas.0.redis.memory.policy', 'volatile-ttl'],
  ],
  'RTC-REDIS-05': [
    ['redis.ping_ms', { median: 15, worst: 40 }],
    ['redis.ping_ms', { median: 150, worst: 400 }],
  ],
  'RTC-REDIS-06': [
    ['redis.advice', [{ kind: 'persistence', problem: 'nothing on disk', remedy: 'appendonly yes' }]],
    ['redis.fields.rdb_last_bgsave_status', 'err'],
  ],
  'RTC-REDIS-07': [
    ['redis.advice', [{ kind: 'replication', problem: 'without replicas', remedy: 'min-replicas' }]],
    ['redis.fields.role', 'slave'],
  ],
  'RTC-REDIS-08': [
    ['redis.denied', ['xadd']],
    ['health.redis', { ...writesRefusedBy('NOPERM') }],
    ['health.redis.adapter_denied', true],
  ],
  'RTC-REDIS-09': [['redis.advice', [{ kind: 'version', problem: 'too old', remedy: 'a newer one' }]]],
  'RTC-ACTOR-01': [['admin.stopped_actors', [{ actor_id: 'topic:x', replica_id: 'a', last_error: 'y' }]]],
  'RTC-ACTOR-02': [['admin.longest_mailbox', { actor_id: 'topic:x', mailbox_size: 990 }]],
  'RTC-ALERT-01': [
    [
      'admin.alerts',
      [{ at: 1000 * day - 60_000, severity: 'warning', kind: 'redis_stale_primary', message: 'm' }],
    ],
  ],
  'RTC-REPLICA-01': [
    ['admin.silent_replicas', ['b']],
    ['replicas', [{ url: 'http://b', problem: 'no answer', version: null, differences: [] }]],
  ],
  'RTC-REPLICA-02': [
    ['replicas', [{ url: 'http://b', problem: null, version: '1', differences: ['limits.userRps'] }]],
    [
      'admin.alerts',
      [{ at: 1000 * day - 60_000, severity: 'warning', kind: 'replicas_differ', message: 'm' }],
    ],
  ],
};

const codesOf = (observed: Observations) => judge(observed).flatMap(({ code }) => code ?? []);

describe('[CLI] the judgement of rtc doctor', () => {
  it('is that all is well where it is', () => {
    assert.deepEqual(codesOf(healthy), []);
    // Seen by a release that looked at less.
    const { redis: _redis, ...without } = healthy;
    const { memory: _memory, file_descriptors: _files, ...fewer } = metrics;
    assert.deepEqual(codesOf(but(['admin', 'replicas'], [fewer], without)), []);
  });

  for (const [code, cases] of Object.entries(seen))
    it(`finds ${code}, and nothing else`, () => {
      for (const [path, value] of cases as [string, unknown][])
        assert.deepEqual(codesOf(but(path.split('.'), value)), [code], path);
    });

  it('of other codes is compared elsewhere, with real tokens and addresses', () => {
    const others = Object.keys(doctorCodes).filter((code) => !(code in seen));
    assert.deepEqual(others, [
      'RTC-ADDRESS-02',
      ...['02', '03', '04', '05', '06', '07', '08'].map((number) => `RTC-TOKEN-${number}`),
    ]);
  });

  it('names what is at the address instead of the service, with a remedy for that', () => {
    const { reach } = healthy;
    const unspoken = (kind: string) => ({ ...reach, tls: null, problem: 'words', problem_kind: kind });
    const answering = (status: number, code: string, message: string, location: string | null = null) => ({
      ...reach,
      status,
      answer: { code, message, location },
    });
    for (const [seenReach, text, remedy] of [
      [unspoken('no_tls'), /does not speak TLS/, /^rtc doctor --url http:\/\/rtc\.example$/],
      [unspoken('no_http'), /does not speak HTTP/, /^ss -ltnp/],
      [unspoken('closed'), /closes connections without an answer/, /^ss -ltnp/],
      [
        answering(301, 'http_301', '', 'https://other.example/health'),
        /redirects to/,
        /--url https:\/\/other\.example$/,
      ],
      [
        answering(400, 'http_400', 'The plain HTTP request was sent to HTTPS port'),
        /port for TLS/,
        /--url http/,
      ],
      [answering(401, 'http_401', 'Authorization Required'), /login of its own/, /curl/],
      [answering(404, 'not_found', 'words'), /changes the path/, /proxy_pass/],
      [
        answering(502, 'http_502', 'Bad Gateway'),
        /answers 502 with something that is not of the service/,
        /curl/,
      ],
    ] as const) {
      const found = judge(but(['reach'], seenReach, but(['health'], null)));
      const [finding] = found.filter(({ code }) => code !== null);
      assert.equal(finding?.code, 'RTC-ADDRESS-03', JSON.stringify(found));
      assert.match(finding.text, text);
      assert.match(finding.remedy!, remedy);
    }
  });

  it('says in words what is wrong with a certificate', () => {
    const { reach, at } = healthy;
    for (const [tls, text, remedy] of [
      [{ problem: 'CERT_HAS_EXPIRED', expires_at: at - 3 * day }, /expired 3 days ago/, /renew/],
      [
        { problem: 'CERT_NOT_YET_VALID', expires_at: at + day, valid_from: at + 5 * 3_600_000 },
        /in 5 hours/,
        /date/,
      ],
      [{ problem: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', expires_at: at + day }, /trusts/, /NODE_EXTRA_CA_CERTS/],
      [{ problem: 'ERR_TLS_CERT_ALTNAME_INVALID', expires_at: at + day }, /another host name/, /openssl/],
    ] as const) {
      const seenTls = but(['reach'], { ...reach, problem: 'words', tls }, but(['health'], null));
      const found = judge(seenTls);
      const [finding] = found.filter(({ code }) => code !== null);
      assert.equal(finding?.code, 'RTC-ADDRESS-04');
      assert.match(finding.text, text);
      assert.match(finding.remedy!, remedy);
    }
  });

  it('names why Redis refuses writes, and names it once where Redis itself shows it too', () => {
    const refusing = (by: string) => but(['health', 'redis'], writesRefusedBy(by));
    const finding = (observed: Observations) => judge(observed).find(({ code }) => code !== null)!;
    assert.match(finding(refusing('MISCONF')).text, /disk is full/);
    assert.match(finding(refusing('MISCONF')).remedy!, /df -h/);
    assert.match(finding(refusing('READONLY')).text, /read-only replica/);
    assert.match(finding(refusing('NOPERM')).remedy!, /rtc redis acl/);
    for (const [by, path, value, code] of [
      ['MISCONF', 'redis.fields.rdb_last_bgsave_status', 'err', 'RTC-REDIS-06'],
      ['READONLY', 'redis.fields.role', 'slave', 'RTC-REDIS-07'],
      ['NOPERM', 'redis.denied', ['xadd'], 'RTC-REDIS-08'],
      ['OOM', 'health.redis.memory.level', 'full', 'RTC-REDIS-03'],
    ] as const)
      for (const step of ['publish', 'connect']) {
        const refusedToo = but(
          ['probe', 'failures'],
          [{ url: 'https://rtc.example', step, code: 'unavailable', message: 'words' }],
          refusing(by),
        );
        assert.deepEqual(codesOf(but(path.split('.'), value, refusedToo)), [code], by);
        const upgrade = { status: 503, code: 'unavailable', message: 'words' };
        assert.deepEqual(
          codesOf(but(path.split('.'), value, but(['upgrade'], upgrade, refusing(by)))),
          [code],
          by,
        );
      }
    // Since its start the replica does not know which tokens are revoked.
    const unknown = but(
      ['token', 'refusal'],
      { status: 503, code: 'unavailable', message: 'm' },
      refusing('NOPERM'),
    );
    assert.deepEqual(codesOf(but(['admin', 'silent_replicas'], ['b'], unknown)), ['RTC-REDIS-08']);
    const noChannels = but(['redis', 'denied'], ['publish'], but(['health', 'redis', 'state'], 'down'));
    assert.deepEqual(codesOf(but(['health', 'redis', 'outage'], 'password', noChannels)), ['RTC-REDIS-08']);
  });

  it('says of a primary that became a replica what it is, without --redis too', () => {
    const down = { ...writesRefusedBy('READONLY'), state: 'down', outage: 'unreachable' };
    const [found, ...others] = judge(but(['health', 'redis'], down)).filter(({ code }) => code !== null);
    assert.deepEqual([found?.code, others], ['RTC-REDIS-02', []]);
    assert.match(found!.text, /read-only replica/);
    assert.match(found!.remedy!, /info replication/);
    assert.deepEqual(codesOf(but(['redis', 'fields', 'role'], 'slave', but(['health', 'redis'], down))), [
      'RTC-REDIS-07',
    ]);
    const password = but(['health', 'redis'], { ...down, outage: 'password' });
    assert.deepEqual(codesOf(password), ['RTC-REDIS-01']);
  });

  it('explains nothing by what may only happen', () => {
    const [path, failures] = failing('publish', 'unavailable') as [string, unknown];
    const refusing = but(path.split('.'), failures);
    const advice = [{ kind: 'persistence', problem: 'nothing on disk', remedy: 'appendonly yes' }];
    assert.deepEqual(codesOf(but(['redis', 'advice'], advice, refusing)), [
      'RTC-MESSAGES-01',
      'RTC-REDIS-06',
    ]);
    assert.deepEqual(codesOf(but(['redis', 'problem'], 'not from here', refusing)), [
      'RTC-MESSAGES-01',
      'RTC-REDIS-01',
    ]);
  });

  it('names settings as docs/config.md does', () => {
    const differences = ['limits.userRps', 'actorSystem.mailboxCapacity'];
    const replicas = [{ url: 'http://b', problem: null, version: '1', differences }];
    const [found] = judge(but(['replicas'], replicas)).filter(({ code }) => code !== null);
    assert.match(found!.text, /: limits\.user_rps, actor_system\.mailbox_capacity$/);
    assert.match(found!.remedy!, /^rtc config explain limits /);
  });

  it('promises nothing of a Redis but that it answers and accepts writes', () => {
    const { redis: _redis, ...seen } = healthy;
    const text = judge(seen).find(({ group }) => group === 'redis')?.text;
    assert.equal(text, 'Redis answers, and accepts writes');
  });

  it('finds once that replicas do not share one Redis', () => {
    const replicas = [{ url: 'http://b', problem: null, version: '1', differences: ['redis.url'] }];
    const [path, failures] = failing('receive', 'lost') as [string, unknown];
    const split = but(['replicas'], replicas, but(path.split('.'), failures));
    assert.deepEqual(codesOf(split), ['RTC-REPLICA-02']);
    assert.equal(judge(split).find(({ code }) => code !== null)?.level, 'failure');
  });

  it('examines the token by the upgrade where /api is closed', () => {
    const closed = but(['token', 'refusal'], { status: 403, code: 'http_403', message: '' });
    const upgrade = { status: 401, code: 'token_expired', message: 'the token has expired' };
    assert.deepEqual(codesOf(but(['upgrade'], upgrade, closed)), ['RTC-TOKEN-02', 'RTC-PROXY-05']);
  });

  it('says with which token a remedy is, where that of the operator is refused', () => {
    const expired = { status: 401, code: 'token_expired', message: 'the token has expired' };
    const remedyOf = (who: string) =>
      judge(but([who], { ...healthy.token, refusal: expired })).find(({ code }) => code === 'RTC-TOKEN-02')
        ?.remedy;
    assert.match(remedyOf('token') ?? '', /^export TOKEN=/);
    assert.match(remedyOf('operator') ?? '', /^export ADMIN_TOKEN=.* --role viewer/);
  });

  it('names a refusal by a rate once, whatever is refused', () => {
    const all = ['token', 'operator', 'upgrade'].reduce<unknown>(
      (base, who) =>
        who === 'upgrade'
          ? but(['upgrade'], { status: 429, code: 'rate_limited', message: 'words' }, base)
          : but([who, 'refusal'], { status: 429, code: 'rate_limited', message: 'words' }, base),
      healthy,
    ) as Observations;
    assert.deepEqual(codesOf({ ...all, admin: null, probe: null, polling: null, idle: null }), [
      'RTC-LIMIT-02',
    ]);
  });

  it('blames the part of a Redis Cluster that is down, not the replicas that do not answer without it', () => {
    const lost = but(['health', 'redis', 'outage'], 'cluster', but(['admin', 'silent_replicas'], ['b']));
    const [path, failures] = failing('subscribe', 'unavailable') as [string, unknown];
    const checks = judge(but(path.split('.'), failures, lost)).filter(({ code }) => code !== null);
    assert.deepEqual(
      checks.map(({ code, level, text }) => [code, level, text]),
      [
        [
          'RTC-REDIS-01',
          'failure',
          'a part of the Redis Cluster is unavailable: it does not serve all slots',
        ],
      ],
    );
    assert.match(checks[0]!.remedy!, /--cluster check/);
  });

  it('takes the worse of what the service and Redis itself show', () => {
    const full = but(
      ['redis', 'fields', 'used_memory'],
      '95',
      but(['health', 'redis', 'memory', 'level'], 'exhausted'),
    );
    const levels = judge(full).flatMap(({ code, level }) => (code === null ? [] : [[code, level]]));
    assert.deepEqual(levels, [['RTC-REDIS-03', 'failure']]);
    const alone = judge(but(['redis', 'fields', 'used_memory'], '100')).find(({ code }) => code !== null);
    assert.equal(alone?.level, 'failure');
  });

  it('finds once what the service and Redis itself both show', () => {
    const both = but(
      ['redis', 'policy'],
      'allkeys-lru',
      but('admin.replicas.0.redis.memory.policy'.split('.'), 'allkeys-lru'),
    );
    assert.deepEqual(codesOf(both), ['RTC-REDIS-04']);
    const noService = but(['health'], null, but(['redis', 'problem'], 'connect ECONNREFUSED'));
    assert.deepEqual(codesOf(noService), ['RTC-ADDRESS-03', 'RTC-REDIS-01']);
  });
});
