import { parseArgs } from 'node:util';
import { serverVersion, Side, type SideName } from '../processes.js';
import { holdIdle } from './hold-idle.js';

/**
 * Memory of an idle connection, part by part: resident memory of one server process, after garbage collection. Each part is measured with those
 * below it; its cost is the difference. Prints a table with a column for each Node.
 *
 *   npm run bench:idle -- --connections 10000 --rounds 3 --node PATH --node PATH
 */
const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '1' },
    node: { type: 'string', multiple: true, default: [process.execPath] },
  },
});

interface Part {
  readonly title: string;
  readonly side: SideName;
  readonly environment: NodeJS.ProcessEnv;
  readonly subscribes?: true;
}

const asMade = { RTC_WEBSOCKET_SLIM_CONNECTIONS: 'off' };

const parts: readonly Part[] = [
  { title: 'TCP socket', side: 'layer', environment: { LAYER: 'tcp' } },
  { title: 'HTTP upgrade, ws', side: 'layer', environment: { LAYER: 'ws' } },
  { title: 'engine.io', side: 'layer', environment: { LAYER: 'engine' } },
  { title: 'Socket.IO', side: 'layer', environment: { LAYER: 'socketio' } },
  { title: 'this service: session, outbox, inbound budget', side: 'rtc', environment: asMade },
  { title: 'a subscription', side: 'rtc', environment: asMade, subscribes: true },
  { title: 'what idle connections release', side: 'rtc', environment: {}, subscribes: true },
];

/** The side under measurement, stopped if this run is interrupted. */
let current: Side | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void (current?.stop() ?? Promise.resolve()).then(() => process.exit(130)));

/** Bytes of a connection with this part and all below it. */
async function bytesOf({ side: name, environment, subscribes }: Part, node: string): Promise<number> {
  const side = await Side.start(name, { inspect: true, replicas: 1, node, environment });
  current = side;
  try {
    const count = Number(values.connections);
    const clients = { subscribers: subscribes ? count : 0, publishers: subscribes ? 0 : count };
    const { emptyBytes, fullBytes } = await holdIdle(side, clients);
    return (fullBytes - emptyBytes) / count;
  } finally {
    await side.stop();
  }
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[all.length >> 1]!;
}

function kib(bytes: number): string {
  return (bytes / 1024).toFixed(1);
}

async function main(): Promise<void> {
  const columns: number[][] = [];
  for (const node of values.node) {
    const column: number[] = [];
    for (const part of parts) {
      const rounds: number[] = [];
      for (let round = 0; round < Number(values.rounds); round++) rounds.push(await bytesOf(part, node));
      column.push(median(rounds));
      process.stderr.write(`${serverVersion(node)}, with ${part.title}: ${rounds.map(kib).join(', ')} KiB\n`);
    }
    columns.push(column);
  }
  const row = (title: string, cells: readonly string[]) => `| ${[title, ...cells].join(' | ')} |`;
  const lines = [
    row(
      'KiB per idle connection',
      values.node.map((node) => `Node ${serverVersion(node).slice(1)}`),
    ),
    `|---|${'---|'.repeat(columns.length)}`,
    ...parts.map(({ title }, i) =>
      row(
        title,
        columns.map((column) => kib(column[i]! - (column[i - 1] ?? 0))),
      ),
    ),
    row(
      '**an idle connection**',
      columns.map((column) => `**${kib(column.at(-1)!)}**`),
    ),
  ];
  process.stdout.write(`\n${lines.join('\n')}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
