import assert from 'node:assert/strict';
import { groups, type Group } from '../../../server/cli/doctor/codes.js';
import { judge } from '../../../server/cli/doctor/judge.js';
import type { Observations } from '../../../server/cli/doctor/observations.js';
import { nagiosLine, prometheusText, reportOf } from '../../../server/cli/doctor/report.js';
import { assertSelection, select } from '../../../server/cli/doctor/selection.js';
import { healthyObservations as healthy, withOther } from '../../support/doctor-observations.js';

const refusal = (status: number, code: string, message = 'words') => ({ status, code, message });

/** What the doctor sees of a service, and whatever keeps it from looking further. */
const unreachable = {
  ...healthy,
  health: null,
  metrics: null,
  admin: null,
  upgrade: null,
  polling: null,
  probe: null,
  idle: null,
  redis: null,
};
const wrongSecret = refusal(401, 'unauthorized', 'the token is signed with another secret or key');
const unlooked = { ...healthy, admin: null, polling: null, probe: null, idle: null };
const blocked: Readonly<Record<string, readonly [Observations, string, readonly Group[]]>> = {
  'a dead service': [
    { ...unreachable, reach: { ...healthy.reach, problem: 'connect ECONNREFUSED', tls: null } },
    'RTC-ADDRESS-02',
    groups,
  ],
  'a foreign service': [unreachable, 'RTC-ADDRESS-03', groups],
  'another secret': [
    {
      ...unlooked,
      metrics: null,
      upgrade: wrongSecret,
      token: { ...healthy.token, refusal: wrongSecret },
      operator: { ...healthy.operator, refusal: wrongSecret },
    },
    'RTC-TOKEN-03',
    ['token', 'proxy', 'messages', 'actors', 'replicas', 'switches', 'capacity'],
  ],
  'no token of an operator': [
    { ...healthy, admin: null, operator: { ...healthy.operator, refusal: refusal(403, 'forbidden') } },
    'RTC-TOKEN-09',
    ['replicas'],
  ],
  'a replica at capacity': [
    { ...healthy, polling: null, probe: null, idle: null, upgrade: refusal(503, 'at_capacity') },
    'RTC-CAPACITY-01',
    ['proxy', 'messages', 'capacity'],
  ],
  'a replica that starts': [
    {
      ...withOther(['health', 'phase'], 'starting'),
      probe: null,
      polling: null,
      idle: null,
      upgrade: refusal(503, 'shutting_down'),
    },
    'RTC-ADDRESS-06',
    ['proxy', 'messages'],
  ],
  'the mode read-only': [
    withOther(
      ['probe', 'failures'],
      [{ url: 'https://rtc.example', step: 'publish', code: 'read_only', message: 'words' }],
      withOther(['health', 'mode'], 'read_only'),
    ),
    'RTC-SWITCH-01',
    ['messages', 'switches'],
  ],
  'no Redis': [
    withOther(
      ['probe', 'failures'],
      [{ url: 'https://rtc.example', step: 'publish', code: 'unavailable', message: 'words' }],
      withOther(['health', 'redis', 'state'], 'down', { ...healthy, redis: null }),
    ),
    'RTC-REDIS-01',
    ['messages', 'redis', 'replicas', 'capacity', 'actors'],
  ],
};

const selected = (seen: Observations, only: readonly string[], skip: readonly string[] = []) =>
  select(judge(seen), seen, { only, skip });

describe('[CLI] what rtc doctor is asked for', () => {
  for (const [name, [seen, code, hidden]] of Object.entries(blocked))
    it(`has the finding that keeps it from looking, however it is selected: ${name}`, () => {
      for (const group of hidden) {
        const others = groups.filter((one) => one !== group);
        for (const [only, skip] of [
          [[group], []],
          [[], others],
          [[group], others],
        ] as const) {
          const { checks } = selected(seen, only, skip);
          const codes = checks.flatMap((check) => check.code ?? []);
          assert.ok(codes.includes(code as never), `${group}: ${codes.join(', ')}`);
        }
      }
    });

  it('is not well where it could not look, by Nagios and by Prometheus neither', () => {
    const silent = { ...healthy, admin: { ...healthy.admin, replicas: null }, metrics: null };
    const result = selected(silent, ['replicas', 'switches']);
    assert.deepEqual(result.notSeen, ['replicas']);
    const report = reportOf(result, healthy);
    assert.equal(report.verdict, 'unknown');
    assert.match(nagiosLine(report), /^RTC UNKNOWN - could not look at replicas \|/);
    assert.match(prometheusText(report), /^rtc_doctor_verdict\{.*\} 3$/m);
    const idle = selected({ ...healthy, idle: null }, ['RTC-PROXY-02']);
    assert.deepEqual(idle.notSeen, ['RTC-PROXY-02 (looked at with --idle)']);
    assert.deepEqual(selected({ ...healthy, redis: null }, ['RTC-REDIS-06']).notSeen.length, 1);
  });

  it('is well where it is, by each group and each code', () => {
    for (const only of groups)
      assert.equal(reportOf(selected(healthy, [only]), healthy).verdict, 'well', only);
    for (const only of ['RTC-PROXY-02', 'RTC-REDIS-06', 'RTC-TOKEN-03'])
      assert.equal(reportOf(selected(healthy, [only]), healthy).verdict, 'well', only);
  });

  it('leaves out what was looked at, and what is skipped although it is seen in part', () => {
    const expired = refusal(401, 'token_expired');
    const other = withOther(['token', 'refusal'], expired);
    assert.equal(reportOf(selected(other, [], ['RTC-TOKEN-02']), other).verdict, 'well');
    assert.equal(reportOf(selected(other, ['messages', 'redis']), other).verdict, 'well');
    const [user] = blocked['no token of an operator']!;
    for (const only of ['actors', 'capacity', 'switches'])
      assert.equal(reportOf(selected(user, [only]), user).verdict, 'warnings', only);
    assert.equal(reportOf(selected(user, ['capacity'], ['RTC-TOKEN-09']), user).verdict, 'well');
    assert.equal(reportOf(selected(user, ['messages', 'proxy']), user).verdict, 'well');
  });

  it('is not well where a replica is not seen, unless that is skipped', () => {
    const silent = withOther(['admin', 'silent_replicas'], ['b']);
    const codes = (only: readonly string[], skip: readonly string[] = []) =>
      selected(silent, only, skip).checks.flatMap(({ code }) => code ?? []);
    for (const only of ['capacity', 'actors']) {
      assert.deepEqual(codes([only]), ['RTC-REPLICA-01'], only);
      assert.deepEqual(codes([only], ['RTC-REPLICA-01']), [], only);
    }
    assert.deepEqual(codes(['messages']), []);
    // Of those that --replica names.
    const down = { url: 'http://b', problem: 'no answer', version: null, differences: [] };
    const away = withOther(['replicas'], [down]);
    const found = (skip: readonly string[]) =>
      selected(away, ['messages'], skip).checks.flatMap(({ code }) => code ?? []);
    assert.deepEqual(found([]), ['RTC-REPLICA-01']);
    assert.deepEqual(found(['RTC-REPLICA-01']), []);
  });

  it('is refused if nothing is left of it', () => {
    for (const [only, skip] of [
      [['token'], ['token']],
      [['RTC-TOKEN-02'], ['token']],
      [['RTC-TOKEN-02'], ['RTC-TOKEN-02']],
      [[], groups],
    ] as const)
      assert.throws(() => assertSelection({ only, skip }), /leave nothing to look at/);
    assert.throws(() => assertSelection({ only: [''], skip: [] }), /an empty name is neither a group/);
    assertSelection({ only: ['token'], skip: ['RTC-TOKEN-02'] });
  });
});
