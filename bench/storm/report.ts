import { loadCoresMax, otherCoresMax } from '../curves/point.js';
import type { Storm, StormResult } from './run-storm.js';

/** No event loop of a replica may stand still for longer, in milliseconds. */
const stallLimitMs = 100;

/** What this service has promised and not kept; empty if it has kept everything. Stalls and rates are measured, and no promise. */
export function brokenPromises({ side, work, storms, incomplete, missing, repeated }: StormResult): string[] {
  if (side.comeback !== 'session') return [];
  const lost = storms.map(({ recovered }) => work.clients - recovered);
  return [
    ...lost.map((count, n) =>
      count > 0 ? `storm ${n + 1}: ${count} clients were not told recovered: true` : '',
    ),
    missing > 0 ? `${missing} messages were not received` : '',
    repeated > 0 ? `${repeated} messages were received twice, or out of order` : '',
    incomplete > 0 ? `${incomplete} clients have not received the last messages` : '',
  ].filter((text) => text !== '');
}

/** The table of a report: a row for each side. */
export function stormTable(results: readonly StormResult[]): string {
  return [
    '| side | back per second | half / all back, s | caught up, s | µs of server CPU per reconnection (Redis) | recovered | missing / repeated | longest stall, ms: cut / return | publish p99, ms | RSS before / peak / after, MiB | refused, tried again |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...results.map(rowOf),
  ].join('\n');
}

function rowOf({ side, work, storms, missing, repeated }: StormResult): string {
  const reason = voidBecause({ storms });
  const middle = (read: (storm: Storm) => number) => median(storms.map(read));
  const most = (read: (storm: Storm) => number) => Math.max(...storms.map(read));
  const secs = (read: (storm: Storm) => number) => (middle(read) / 1000).toFixed(2);
  const micros = (read: (storm: Storm) => number) => Math.round((middle(read) / work.clients) * 1e6);
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  const stall = (ms: number) => (ms > stallLimitMs ? `**${Math.round(ms)}**` : String(Math.round(ms)));
  const hasSessions = side.comeback === 'session';
  const cells = [
    reason === undefined ? side.title : `${side.title} (void: ${reason})`,
    Math.round(ratePerSec({ work, storms })).toLocaleString('en'),
    `${secs(({ p50Ms }) => p50Ms)} / ${secs(({ allBackMs }) => allBackMs)}`,
    hasSessions ? secs(({ caughtUpMs }) => caughtUpMs) : '–',
    `${micros(({ serverCpuSecs }) => serverCpuSecs)} (${micros(({ redisCpuSecs }) => redisCpuSecs)})`,
    hasSessions ? `${Math.min(...storms.map(({ recovered }) => recovered)).toLocaleString('en')}` : '–',
    `${missing.toLocaleString('en')} / ${repeated}`,
    `${stall(most(({ cutStallMs }) => cutStallMs))} / ${stall(most(({ stallMs }) => stallMs))}`,
    Math.round(middle(({ publishP99Ms }) => publishP99Ms)),
    `${mib(storms[0]!.rssBefore)} / ${mib(most(({ rssPeak }) => rssPeak))} / ${mib(storms.at(-1)!.rssAfter)}`,
    most(({ retries }) => retries),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Clients that are back per second, from the return to the last one: the median of the storms. */
export function ratePerSec({ work, storms }: Pick<StormResult, 'work' | 'storms'>): number {
  return (work.clients / median(storms.map(({ allBackMs }) => allBackMs))) * 1000;
}

/** Why the rate of a side counts for nothing; undefined if it counts. */
export function voidBecause({ storms }: Pick<StormResult, 'storms'>): string | undefined {
  const load = median(storms.map(({ loadCpuSecs, caughtUpMs }) => (loadCpuSecs / caughtUpMs) * 1000));
  if (load > loadCoresMax) return `a load process used ${load.toFixed(2)} cores`;
  const others = median(storms.map(({ otherCores }) => otherCores));
  return others > otherCoresMax ? `other programs used ${others.toFixed(2)} cores` : undefined;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
