import { isForeign } from '../foreign-answer.js';
import { tokenFindingOf } from '../../token-findings.js';
import { failure, warning, well, type Check, type DoctorCode } from '../codes.js';
import type { Observations, TokenObservation } from '../observations.js';

/** A certificate that expires within this time is a warning. */
const certificateNoticeMs = 14 * 86_400_000;
/** Clocks may differ by this much without a word. */
const clockNoticeMs = 5000;
const usualLeewaySecs = 60;

/** Whether the service can be reached at all. */
export function addressChecks({ url, reach, health, at }: Observations): Check[] {
  const checks: Check[] = [];
  const { addresses, problem, problem_kind: kind, status, answer_ms: answerMs, tls, answer } = reach;
  const { hostname, host, port, protocol, pathname } = new URL(url);
  if (addresses.length === 0) return [failure('RTC-ADDRESS-01', problem ?? '', `getent hosts ${hostname}`)];
  if (tls !== null) {
    const look = `openssl s_client -connect ${host}${port === '' ? ':443' : ''} </dev/null | openssl x509 -noout -dates -subject -issuer`;
    if (tls.problem !== null) {
      const [text, remedy] = certificateProblem({ ...tls, problem: tls.problem }, at);
      return [
        failure(
          'RTC-ADDRESS-04',
          `the certificate is not valid: ${text}`,
          remedy ?? `${look}   # renew it, then this shows it`,
        ),
      ];
    }
    const left = spanOf(tls.expires_at - at);
    if (tls.expires_at - at < certificateNoticeMs)
      checks.push(
        warning(
          'RTC-ADDRESS-05',
          `the certificate expires in ${left}`,
          `${look}   # renew it, then this shows it`,
        ),
      );
    else checks.push(well('address', `the certificate is valid for ${left}`));
  }
  const other = `${protocol === 'https:' ? 'http' : 'https'}://${host}${pathname === '/' ? '' : pathname}`;
  if (problem !== null && ['no_tls', 'no_http', 'closed'].includes(kind ?? '')) {
    const remedy =
      kind === 'no_tls'
        ? `rtc doctor --url ${other}`
        : `ss -ltnp 'sport = :${port || 80}'   # on that machine`;
    const closed = `something at ${host} closes connections without an answer: another program, or a proxy whose service is down`;
    const text = {
      no_tls: `something listens at ${host}, but does not speak TLS`,
      no_http: `something listens at ${host} that does not speak HTTP`,
    }[kind as string];
    return [...checks, failure('RTC-ADDRESS-03', text ?? closed, remedy)];
  }
  if (problem !== null)
    return [
      ...checks,
      failure('RTC-ADDRESS-02', `${url} does not answer: ${problem}`, `curl -v ${url}/health`),
    ];
  if (health === null) {
    const [text, remedy] = strangerOf({ url, status, other, answer });
    return [...checks, failure('RTC-ADDRESS-03', text, remedy)];
  }
  checks.push(
    well(
      'address',
      `${url} answers in ${answerMs} ms (version ${health.version}, replica ${health.replica_id})`,
    ),
  );
  if (health.phase !== 'running' && health.redis.state !== 'down')
    checks.push(warning('RTC-ADDRESS-06', `the replica is ${health.phase}`, 'rtc doctor --wait 60s'));
  return checks;
}

/** What answers `/health` instead of the service, and the remedy. */
function strangerOf({
  url,
  status,
  other,
  answer,
}: {
  readonly url: string;
  readonly status: number | null;
  readonly other: string;
  readonly answer: Observations['reach']['answer'];
}): readonly [string, string] {
  const { code = '', message = '', location = null } = answer ?? {};
  const look = `curl -i ${url}/health`;
  if (location !== null) {
    const target = URL.canParse(location, url)
      ? new URL(location, url).href.replace(/\/health$/, '')
      : location;
    return [`${url}/health redirects to ${location}`, `rtc doctor --url ${target}`];
  }
  if (status === 400 && /HTTPS/i.test(message))
    return [`${url} is a port for TLS`, `rtc doctor --url ${other}`];
  if (status === 401 && code === 'http_401')
    return [`a proxy before ${url} wants a login of its own, before the service sees the token`, look];
  if (code === 'not_found')
    return [
      `the service answers ${url}/health with not_found: a proxy changes the path on the way`,
      'proxy_pass http://REPLICA:8081;   # nginx: without a path behind the port',
    ];
  return [
    `${url}/health answers ${status} with something that is not of the service: another program, or a proxy whose service is down`,
    look,
  ];
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** In words, and the remedy where it is another than to look. */
function certificateProblem(
  tls: { readonly expires_at: number; readonly problem: string; readonly valid_from?: number },
  at: number,
): readonly [string, string?] {
  const { problem, expires_at: until, valid_from: from = at } = tls;
  if (problem === 'CERT_HAS_EXPIRED') return [`it expired ${spanOf(at - until)} ago (${problem})`];
  if (problem === 'CERT_NOT_YET_VALID')
    return [
      `it is valid from ${new Date(from).toISOString()} on, in ${spanOf(from - at)} (${problem})`,
      'date -u   # if the clock of this machine is right: a certificate that is valid today',
    ];
  if (untrusted.has(problem))
    return [
      `nobody whom this machine trusts has signed it (${problem})`,
      'export NODE_EXTRA_CA_CERTS=/path/to/authority.pem   # or: the proxy sends the certificates between, too',
    ];
  if (/ALTNAME/.test(problem)) return [`it is for another host name (${problem})`];
  return [problem];
}

function spanOf(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}

/** How far the clock of the service is from this one. */
export function clockChecks({ probe, reach, admin, health }: Observations): Check[] {
  if (health === null) return [];
  const ahead = aheadMs({ probe, reach });
  if (ahead === null) return [];
  if (Math.abs(ahead) < clockNoticeMs)
    return [well('clock', 'the clock of the service and that of this machine agree')];
  const text = `the clock of the service is ${Math.round(Math.abs(ahead) / 1000)} s ${ahead > 0 ? 'ahead of' : 'behind'} that of this machine`;
  const leewayMs = (admin?.settings?.leeway_secs ?? usualLeewaySecs) * 1000;
  const level = Math.abs(ahead) > leewayMs ? failure : warning;
  return [level('RTC-CLOCK-01', text, 'timedatectl set-ntp true   # on the machine whose clock is wrong')];
}

function aheadMs({ probe, reach }: Pick<Observations, 'probe' | 'reach'>): number | null {
  return probe?.clock_ahead_ms ?? reach.clock_ahead_ms;
}

/** Both tokens: that of a user, which is examined, and that of an operator, with which the doctor looks. */
export function tokenChecks(seen: Observations): Check[] {
  const { health, token, operator } = seen;
  if (health === null) return [];
  const checks: Check[] = [];
  const problem = problemOf(token, seen);
  if (problem !== undefined) checks.push(...problem);
  else checks.push(well('token', `the token is accepted (from ${token.source})`));
  const { refusal } = operator;
  if (operator.source === null || refusal?.code === 'forbidden') {
    if (problem === undefined && refusal?.status !== 0)
      checks.push(
        warning(
          'RTC-TOKEN-09',
          'without the token of an operator much cannot be looked at',
          'export ADMIN_TOKEN=$(rtc token create --user "$USER" --role viewer)',
        ),
      );
  } else if (refusal !== null) {
    const known = new Set(checks.map(({ code }) => code));
    checks.push(...(problemOf(operator, seen) ?? []).filter(({ code }) => !known.has(code)));
  }
  return checks;
}

function isRedisWell({ redis }: NonNullable<Observations['health']>): boolean {
  return redis.state !== 'down' && redis.writes !== 'refused';
}

/** Undefined: it is accepted. Empty: something else explains the refusal. */
function problemOf(token: TokenObservation, seen: Observations): Check[] | undefined {
  const { probe, reach, at, health, upgrade } = seen;
  const { source, issued_at: issuedAt, expires_at: expiresAt } = token;
  // Where /api is not let through, the upgrade has shown the token.
  const isUnseen = token.refusal !== null && isForeign(token.refusal);
  const refusal = isUnseen && token === seen.token ? upgrade : token.refusal;
  if (source === null) {
    const remedy = 'export TOKEN=$(rtc token create --user ann)';
    return [
      failure(
        'RTC-TOKEN-01',
        'there is no token: none was given, and there is no secret to sign one',
        remedy,
      ),
    ];
  }
  if (refusal === null || refusal.status === 101) return undefined;
  if (refusal.status !== 401) {
    // Without Redis since its start, a replica does not know which tokens are revoked.
    if (refusal.code === 'unavailable' && health !== null && !isRedisWell(health)) return [];
    if (isForeign(refusal) || isUnseen) return [];
    if (refusal.code === 'rate_limited' || refusal.code === 'forbidden') return [];
    return [
      failure(
        'RTC-MESSAGES-01',
        `the token cannot be checked: ${refusal.code}: ${refusal.message}`,
        'rtc doctor --only token',
      ),
    ];
  }
  if (isForeign(refusal)) return [];
  if (/^no token/.test(refusal.message))
    return [
      failure(
        'RTC-PROXY-06',
        'the service sees no token, though one was sent: a proxy removes the header Authorization',
        'proxy_set_header Authorization $http_authorization;   # nginx',
      ),
    ];
  const { code, cause, remedy } = tokenFindingOf(refusal);
  const aheadSecs = (aheadMs({ probe, reach }) ?? 0) / 1000;
  const nowSecs = at / 1000;
  // By this clock the token is good: the difference of the clocks is the cause.
  const isSkewed = Math.abs(aheadSecs) * 1000 >= clockNoticeMs;
  if (code === 'RTC-TOKEN-02' && isSkewed && expiresAt !== null && expiresAt > nowSecs) return [];
  if (code === 'RTC-TOKEN-05' && isSkewed && issuedAt !== null && issuedAt <= nowSecs + 1) return [];
  return [failure(code as DoctorCode, `${cause} (from ${source})`, remedy)];
}
