import type { Paint } from '../terminal.js';
import { printable } from '../text-table.js';
import type { Check } from './codes.js';
import type { Selected } from './selection.js';

/** Exit codes of `rtc doctor`, as plugins of Nagios have them. */
export const doctorExit = { well: 0, warnings: 1, failures: 2, unknown: 3 } as const;

const page = 'docs/troubleshooting.md';

/** The report as JSON. */
export interface DoctorReport {
  /** `unknown`: something that is asked for could not be looked at, and nothing has failed. */
  readonly verdict: 'well' | 'warnings' | 'failures' | 'unknown';
  readonly url: string;
  readonly at: number;
  readonly checks: readonly (Check & { readonly link: string | null })[];
  /** What could not be looked at, without a finding that says why. */
  readonly not_seen: readonly string[];
}

export function reportOf(
  { checks, notSeen }: Selected,
  { url, at }: { readonly url: string; readonly at: number },
): DoctorReport {
  const has = (level: Check['level']) => checks.some((check) => check.level === level);
  return {
    verdict: has('failure')
      ? 'failures'
      : notSeen.length > 0
        ? 'unknown'
        : has('warning')
          ? 'warnings'
          : 'well',
    url,
    at,
    checks: checks.map((check) => ({
      ...check,
      link: check.code === null ? null : `${page}#${check.code.toLowerCase()}`,
    })),
    not_seen: notSeen,
  };
}

const signs = { ok: '√', warning: '‼', failure: '×' } as const;

/** For people: grouped lines, the cause, one remedy, a link. */
export function reportText(report: DoctorReport, paint: Paint): string {
  const lines: string[] = [];
  let group = '';
  for (const check of report.checks) {
    if (check.group !== group) lines.push(`${group === '' ? '' : '\n'}${paint.bold(check.group)}`);
    group = check.group;
    const colour = { ok: paint.green, warning: paint.yellow, failure: paint.red }[check.level];
    const code = check.code === null ? '' : `${check.code} `;
    lines.push(`${colour(signs[check.level])} ${code}${printable(check.text)}`);
    if (check.remedy !== null)
      lines.push(`    ${printable(check.remedy)}`, `    ${paint.dim(`see ${check.link}`)}`);
  }
  return [...lines, '', verdictLine(report, paint)].join('\n');
}

function verdictLine({ verdict, checks, not_seen: notSeen }: DoctorReport, paint: Paint): string {
  const count = (level: Check['level'], word: string) => {
    const number = checks.filter((check) => check.level === level).length;
    return number === 0 ? [] : [`${number} ${word}${number === 1 ? '' : 's'}`];
  };
  if (verdict === 'well') return paint.green('all well');
  const unseen = notSeen.length === 0 ? [] : [couldNotLook(notSeen)];
  const text = [...count('failure', 'failure'), ...count('warning', 'warning'), ...unseen].join(', ');
  return verdict === 'failures' ? paint.red(text) : paint.yellow(text);
}

function couldNotLook(notSeen: readonly string[]): string {
  return `could not look at ${notSeen.join(', ')}`;
}

/** One line for Nagios and its relatives. */
export function nagiosLine({ verdict, checks, not_seen: notSeen }: DoctorReport): string {
  const word = { well: 'OK', warnings: 'WARNING', failures: 'CRITICAL', unknown: 'UNKNOWN' }[verdict];
  const found = [
    ...checks.filter(({ code }) => code !== null).map(({ code, text }) => `${code} ${printable(text)}`),
    ...(notSeen.length === 0 ? [] : [couldNotLook(notSeen)]),
  ];
  const failures = checks.filter(({ level }) => level === 'failure').length;
  const warnings = checks.filter(({ level }) => level === 'warning').length;
  const text = (found.length === 0 ? 'all well' : found.join('; ')).replaceAll('|', '/');
  return `RTC ${word} - ${text} | failures=${failures} warnings=${warnings}`;
}

/** For the text file collector of Prometheus. */
export function prometheusText({ verdict, checks, at, url }: DoctorReport): string {
  const label = (text: string) => printable(text).replace(/[\\"]/g, '\\$&');
  const rows = checks
    .filter(({ code }) => code !== null)
    .map(
      ({ code, level, group }) =>
        `rtc_doctor_finding{code="${code}",group="${group}",level="${level}",url="${label(url)}"} 1`,
    );
  return [
    '# HELP rtc_doctor_verdict 0 well, 1 warnings, 2 failures, 3 it could not look.',
    '# TYPE rtc_doctor_verdict gauge',
    `rtc_doctor_verdict{url="${label(url)}"} ${doctorExit[verdict]}`,
    '# HELP rtc_doctor_time_seconds When it looked, in seconds since 1970.',
    '# TYPE rtc_doctor_time_seconds gauge',
    `rtc_doctor_time_seconds{url="${label(url)}"} ${Math.floor(at / 1000)}`,
    ...(rows.length === 0
      ? []
      : ['# HELP rtc_doctor_finding What is wrong, by code.', '# TYPE rtc_doctor_finding gauge', ...rows]),
  ].join('\n');
}
