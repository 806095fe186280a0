import { lineChart } from './chart.js';
import { loadCoresMax, otherCoresMax, type Point } from './point.js';
import { sideTitles, type CurveWork } from './works.js';

/** A chart, and the name of its file. */
interface ChartFile {
  readonly name: string;
  readonly svg: string;
}

/** The charts of a work: p99 against load, and processor time against load. Void and incomplete points are left out. */
export function chartsOf(work: CurveWork, points: readonly Point[]): ChartFile[] {
  const chart = (name: string, yTitle: string, read: (point: Point) => number): ChartFile => ({
    name: `${work.name}-${name}.svg`,
    svg: lineChart({
      title: work.title,
      xTitle: 'messages per second',
      yTitle,
      series: work.sides.map((side) => ({
        name: sideTitles[side] ?? side,
        points: points
          .filter((point) => point.work === work.name && point.side === side)
          .filter((point) => point.isComplete && voidBecause(point) === undefined)
          .sort((a, b) => a.load - b.load)
          .map((point) => [point.load, read(point)] as const),
      })),
    }),
  });
  return [
    chart('p99', 'p99 latency, ms', ({ p99 }) => p99),
    chart('cpu', 'processor time per delivery, µs', ({ cpuPerDeliveryUs }) => cpuPerDeliveryUs),
  ];
}

/** Why a point says nothing about its side; undefined: it does. */
export function voidBecause({ loadCores, otherCores }: Point): string | undefined {
  if (loadCores > loadCoresMax) return 'the load process was the limit';
  return otherCores > otherCoresMax ? `other programs used ${otherCores.toFixed(2)} cores` : undefined;
}

/** All points of a work as a table. */
export function tableOf(work: CurveWork, points: readonly Point[]): string {
  const lines = work.loads.flatMap((load) =>
    work.sides.flatMap((side) =>
      points
        .filter((point) => point.work === work.name && point.load === load && point.side === side)
        .map((point) => {
          const reason = voidBecause(point);
          const state =
            reason !== undefined
              ? `void: ${reason}`
              : point.isComplete
                ? 'complete, in order'
                : `falls behind: ${Math.round(point.delivered * 100)} % in time`;
          const latency = [point.p50, point.p99, point.p999].map((ms) => Math.round(ms)).join(' / ');
          return `| ${load} | ${sideTitles[side] ?? side} | ${point.cpuPerDeliveryUs.toPrecision(3)} | ${point.cores.toFixed(2)} | ${latency} | ${point.loadCores.toFixed(2)} | ${point.rounds} | ${state} |`;
        }),
    ),
  );
  return [
    `### ${work.title}`,
    '',
    '| messages/s | side | µs of CPU per delivery | cores | p50 / p99 / p99.9 ms | cores of the load | rounds | check |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}
