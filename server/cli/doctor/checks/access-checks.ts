import { isForeign } from '../foreign-answer.js';
import { tokenFindingOf } from '../../token-findings.js';
import { failure, rateLimited, warning, well, type Check, type DoctorCode } from '../codes.js';
import type { Observations, TokenObservation } from '../observations.js';

/** Clocks may differ by this much without a word. */
const clockNoticeMs = 5000;
const usualLeewaySecs = 60;

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
    if (refusal.code === 'rate_limited') return [rateLimited(refusal)];
    if (refusal.code === 'forbidden') return [];
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
  const mended =
    token === seen.token
      ? remedy
      : remedy
          .replace(/^export TOKEN=.*/, 'export ADMIN_TOKEN=$(rtc token create --user "$USER" --role viewer)')
          .replace('"$TOKEN"', '"$ADMIN_TOKEN"');
  return [failure(code as DoctorCode, `${cause} (from ${source})`, mended)];
}
