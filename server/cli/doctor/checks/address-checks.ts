import { failure, warning, well, type Check } from '../codes.js';
import type { Observations } from '../observations.js';

/** A certificate that expires within this time is a warning. */
const certificateNoticeMs = 14 * 86_400_000;

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
  if (status === 403 || status === 404)
    return [
      `${url}/health answers ${status} with something that is not of the service: another program, a proxy that keeps /health closed, or another path`,
      `${look}   # if it is kept closed: rtc doctor --url http://REPLICA:8081, from inside`,
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
