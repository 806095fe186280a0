import { quantile } from '../attack/quantile.js';
import type { SideName } from '../processes.js';
import type { Return } from './fire-client.js';
import type { FireOutcome, Restart } from './measure-fire.js';
import type { Deliveries } from './stream-check.js';

const titles: Partial<Record<FireOutcome['side'], string>> = {
  rtc: 'this service, two replicas and Redis',
  'rtc-alone': 'this service, one process',
  plain: 'Socket.IO with its Redis adapter, two processes and Redis',
  'plain-recovery': 'Socket.IO with connection state recovery, one process',
};

/** Whether everything came, once and in order, and everybody is back. */
export function isFlawless({ plan, ready, fire, rolling }: FireOutcome): boolean {
  const isExact = ({ lost, doubled, disordered }: Deliveries) => lost + doubled + disordered === 0;
  return ready === plan.clients && isExact(fire) && (rolling === undefined || isExact(rolling));
}

/** The lines of a report about one side. */
export interface FireLines {
  readonly side: SideName;
  readonly cut: string;
  readonly use: string;
  /** Empty: there was no rolling restart. */
  readonly restart: readonly string[];
}

export function linesOf(outcome: FireOutcome): FireLines {
  const { side, plan, fire, restarts } = outcome;
  const title = titleOf(outcome);
  return {
    side,
    cut: line([title, number(plan.clients), ...deliveryCells(fire), ...returnCells(cutReturns(outcome))]),
    use: line([title, ...useCells(outcome)]),
    restart: restarts.length > 0 ? restartLines(outcome) : [],
  };
}

/** The tables of a report. */
export function reportOf(sides: readonly FireLines[]): string {
  return [
    '## Connections that are cut',
    '',
    ...headOf([
      'side',
      'clients',
      'deliveries due',
      'delivered',
      'lost',
      'twice',
      'out of order',
      'returns',
      'told that all is there',
    ]),
    ...sides.map(({ cut }) => cut),
    '',
    'Replay: from the moment in which the server has accepted the connection until the last missed message has come. Return: the same, from the end of the',
    'client’s own back-off. Only of returns in which nothing was lost by the server’s own word. p50 / p95 / p99 / most, in milliseconds.',
    '',
    ...headOf([
      'side',
      'missed by a client, mean',
      'replay',
      'return',
      'attempts refused',
      'cores: servers',
      'Redis',
      'clients',
      'other programs',
      'servers’ memory before, most',
      'clients’ timers late (p99)',
    ]),
    ...sides.map(({ use }) => use),
    ...sides.flatMap(({ restart }) => (restart.length === 0 ? [] : ['', ...restart])),
    '',
  ].join('\n');
}

function useCells(outcome: FireOutcome): string[] {
  const all = cutReturns(outcome);
  const { cores, memoryBytes, clientDelayMs } = outcome;
  const recovered = all.filter(({ isRecovered }) => isRecovered);
  const missed = recovered.reduce((sum, one) => sum + one.missed, 0) / recovered.length;
  return [
    recovered.length === 0 ? '–' : missed.toFixed(1),
    spread(recovered.map(({ replayMs }) => replayMs)),
    spread(recovered.map(({ returnMs }) => returnMs)),
    number(all.reduce((sum, { refused }) => sum + refused, 0)),
    cores.servers.toFixed(2),
    cores.redis.toFixed(2),
    cores.clients.toFixed(2),
    cores.others.toFixed(2),
    `${mebibytes(memoryBytes.before)}, ${mebibytes(memoryBytes.peak)} MiB`,
    `${clientDelayMs.toFixed(0)} ms`,
  ];
}

/** Returns after a cut, before the restart. */
function cutReturns({ returns, restarts }: FireOutcome): Return[] {
  const until = restarts[0]?.termAt ?? Infinity;
  return returns.filter(({ endedBy, leftAt }) => endedBy === 'network' && leftAt < until);
}

function restartLines(outcome: FireOutcome): string[] {
  const { rolling, restarts, returns, plan, ready } = outcome;
  const [due, delivered, lost, twice, disordered] = deliveryCells(rolling!);
  return [
    `## Rolling restart: ${titleOf(outcome)}`,
    '',
    `The cuts go on. Deliveries due: ${due}; delivered ${delivered}, lost ${lost}, twice ${twice}, out of order ${disordered}. Subscribed at the end: ${ready} of ${plan.clients}.`,
    '',
    ...headOf([
      'replica',
      'ended after',
      'a new one ready after',
      'clients let go',
      'back after SIGTERM: half, 99 %, all',
      'without a subscription, p50 / p95 / p99 / most',
      'return, without the client’s back-off',
      'told that all is there',
    ]),
    ...restarts.map((restart, n) =>
      line([String(n), ...restartCells(restart, letGo(returns, restart, restarts[n + 1]))]),
    ),
  ];
}

function letGo(returns: readonly Return[], { termAt }: Restart, next: Restart | undefined): Return[] {
  return returns.filter(
    ({ endedBy, leftAt }) => endedBy === 'server' && leftAt >= termAt && leftAt < (next?.termAt ?? Infinity),
  );
}

function restartCells({ termAt, endedAt, readyAt }: Restart, all: readonly Return[]): string[] {
  const secs = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const backMs = all.map(({ backAt }) => backAt - termAt);
  return [
    secs(endedAt - termAt),
    secs(readyAt - termAt),
    number(all.length),
    [0.5, 0.99, 1].map((q) => secs(quantile(backMs, q))).join(', '),
    `${spread(all.map(({ leftAt, backAt }) => backAt - leftAt))} ms`,
    `${spread(all.map(({ returnMs }) => returnMs))} ms`,
    recoveredShare(all),
  ];
}

function titleOf({ side }: FireOutcome): string {
  return titles[side] ?? side;
}

function deliveryCells({ expected, lost, doubled, disordered }: Deliveries): string[] {
  const share = ((expected - lost) / expected) * 100;
  // Not rounded up to 100.
  const delivered = lost === 0 ? '100 %' : `${(Math.floor(share * 1000) / 1000).toFixed(3)} %`;
  return [number(expected), delivered, number(lost), number(doubled), number(disordered)];
}

function returnCells(all: readonly Return[]): string[] {
  return [number(all.length), recoveredShare(all)];
}

function recoveredShare(all: readonly Return[]): string {
  if (all.length === 0) return '–';
  const recovered = all.filter(({ isRecovered }) => isRecovered).length;
  return recovered === all.length ? 'all' : `${((recovered / all.length) * 100).toFixed(1)} %`;
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return '–';
  return [0.5, 0.95, 0.99, 1].map((q) => quantile(values, q).toFixed(0)).join(' / ');
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function headOf(cells: readonly string[]): string[] {
  return [line(cells), line(cells.map(() => '---'))];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
