import { isForeign } from '../foreign-answer.js';
import { failure, rateLimited, warning, well, type Check, type DoctorCode } from '../codes.js';
import { blockedPaths } from './blocked-paths.js';
import { explainsRefusals, explainsSilence } from './explaining.js';
import { isSplitCluster } from './replica-checks.js';
import type { Observations, ProbeFailure } from '../observations.js';

/** A payload limit below this is a mistake more often than not. */
const smallBytes = 1024;
/** Messages that take longer are late. */
const lateMs = 1000;

/** What is on the way to the service. */
export function proxyChecks(seen: Observations): Check[] {
  const { health, upgrade, polling, idle, admin } = seen;
  if (health === null || upgrade === null) return [];
  const checks: Check[] = [];
  const isRemoved = upgrade.status === 426 || upgrade.code === 'http_400';
  if (isRemoved)
    checks.push(
      failure(
        'RTC-PROXY-01',
        `a proxy removes the upgrade to WebSocket (the service sees none, and answers ${upgrade.status})`,
        'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";   # nginx',
      ),
    );
  else if (upgrade.status === 101) checks.push(well('proxy', 'the upgrade to WebSocket gets through'));
  checks.push(...blockedPaths(seen, isRemoved));
  if (polling !== null && polling.lost > 0)
    checks.push(
      warning(
        'RTC-PROXY-03',
        `${polling.lost} of ${polling.requests} requests of one polling client reached a replica that does not know it`,
        "io(url, { transports: ['websocket'] })   # or a balancer with sticky sessions",
      ),
    );
  if (idle !== null) {
    const { asked_ms: askedMs, closed_after_ms: closedMs, heartbeats } = idle;
    const heartbeatSecs = admin?.settings?.heartbeat_interval_secs ?? 30;
    if (closedMs !== null) {
      const text = `an idle connection was closed after ${(closedMs / 1000).toFixed(1)} s; the service sends heartbeats every ${heartbeatSecs} s`;
      checks.push(failure('RTC-PROXY-02', text, 'proxy_read_timeout 1h; proxy_send_timeout 1h;   # nginx'));
    } else if (heartbeats === 0 && askedMs > heartbeatSecs * 1000 * 1.5)
      checks.push(
        failure(
          'RTC-PROXY-04',
          `no heartbeat came in ${askedMs / 1000} s; the service sends one every ${heartbeatSecs} s`,
          'rtc doctor --idle 90s --url http://REPLICA:8081   # without the proxy',
        ),
      );
    else checks.push(well('proxy', `an idle connection stayed open for ${askedMs / 1000} s`));
  }
  return checks;
}

/** A client that cannot connect, for a reason that no other finding tells. */
function connectChecks({ upgrade, url }: Observations, known: readonly Check[]): Check[] {
  if (upgrade === null || upgrade.status === 101 || isForeign(upgrade)) return [];
  const { status, code, message } = upgrade;
  if (status === 426) return [];
  const isOfToken = status === 401 || status === 403;
  if (code === 'at_capacity' || isOfToken) return [];
  const isExplained = known.some(
    (one) => explainsRefusals(one) || explainsSilence(one) || one.code === 'RTC-ADDRESS-06',
  );
  if (isExplained) return [];
  if (code === 'rate_limited')
    return known.some((one) => one.code === 'RTC-LIMIT-02') ? [] : [rateLimited({ code, message })];
  return [
    failure(
      'RTC-MESSAGES-01',
      `a client of ${url}/ws cannot connect: ${code}: ${message}`,
      `rtc connect ${url}`,
    ),
  ];
}

/** Codes of refusals that another finding explains, or that have a code of their own. */
const byRefusal: Readonly<Record<string, DoctorCode>> = {
  read_only: 'RTC-SWITCH-01',
  topic_frozen: 'RTC-SWITCH-04',
  at_capacity: 'RTC-CAPACITY-01',
  message_too_large: 'RTC-LIMIT-01',
  rate_limited: 'RTC-LIMIT-02',
  quota_exceeded: 'RTC-LIMIT-02',
  busy: 'RTC-LIMIT-02',
  forbidden: 'RTC-TOKEN-10',
};

/** Whether messages get through; `known` are the checks before. */
export function messageChecks(seen: Observations, known: readonly Check[]): Check[] {
  const { health, probe, admin } = seen;
  if (health === null) return [];
  const checks = connectChecks(seen, known);
  const limit = admin?.settings?.max_message_bytes;
  const isRefusedBySize = probe?.failures.some(({ code }) => code === 'message_too_large') ?? false;
  if (isRefusedBySize || (limit !== undefined && limit < smallBytes)) {
    const level = isRefusedBySize ? failure : warning;
    const text = `payloads may have ${limit ?? 'very few'} bytes only`;
    checks.push(level('RTC-LIMIT-01', text, 'RTC_WEBSOCKET_MAX_MESSAGE_BYTES=65536'));
  }
  if (probe === null) return checks;
  for (const found of probe.failures) {
    const all = [...known, ...checks];
    const check = checkOf(found, all, isSplitCluster(seen));
    if (check !== undefined && !all.some(({ code }) => code === check.code)) checks.push(check);
  }
  if (probe.failures.length > 0) return checks;
  const { sent, received, slowest_ms: slowestMs } = probe;
  if (slowestMs !== null && slowestMs > lateMs && !known.some(({ code }) => code === 'RTC-CAPACITY-03'))
    checks.push(
      warning('RTC-MESSAGES-04', `a message took ${slowestMs} ms`, 'curl $RTC/metrics | jq .latency_ms'),
    );
  else
    checks.push(
      well(
        'messages',
        `${sent} messages were published and received ${received} times, in order, in ${slowestMs} ms at most`,
      ),
    );
  return checks;
}

function checkOf(
  { url, step, code, message }: ProbeFailure,
  known: readonly Check[],
  isSplit: boolean,
): Check | undefined {
  const own = byRefusal[code];
  if (own !== undefined) {
    if (own === 'RTC-LIMIT-02') return rateLimited({ code, message });
    if (own === 'RTC-TOKEN-10')
      return warning(
        own,
        message,
        'rtc token inspect "$TOKEN"   # roles and topics; permissions of the settings',
      );
    if (known.some((one) => one.code === own)) return undefined;
  }
  if (code === 'unavailable' && known.some(explainsRefusals)) return undefined;
  // A loop that is blocked, and a Redis that went away meanwhile, answer late or not at all.
  if (code === 'timeout' && known.some(explainsSilence)) return undefined;
  if (step === 'order')
    return failure(
      'RTC-MESSAGES-03',
      `${url}: ${message}`,
      'rtc doctor --save doctor.json   # a bug: report it with this file',
    );
  if (step === 'receive') {
    if (known.some(explainsSilence) || isSplit) return undefined;
    return failure(
      'RTC-MESSAGES-02',
      `${url}: ${message}`,
      'rtc tail rtc.doctor   # on one replica, and rtc publish on another',
    );
  }
  return failure(
    'RTC-MESSAGES-01',
    `${url}: ${step} failed: ${code}: ${message}`,
    'rtc publish rtc.doctor 1 --trace',
  );
}
