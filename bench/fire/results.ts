import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SideName } from '../processes.js';
import { reportOf, type FireLines } from './report.js';

const results = join(__dirname, '..', '..', '..', 'bench', 'results');

/** What has been measured in one way, beside its report. */
export interface FireData {
  readonly commit: string;
  /** How it was measured, in words. */
  readonly plan: string;
  readonly sides: readonly FireLines[];
}

export function textOf(head: readonly string[], { plan, sides }: FireData): string {
  return [...head, '', plan, '', reportOf(sides)].join('\n');
}

/** Writes the report and its data. `order`: of the sides. */
export function writeResults(head: readonly string[], measured: FireData, order: readonly SideName[]): void {
  mkdirSync(results, { recursive: true });
  const name = join(results, `${new Date().toISOString().slice(0, 10)}-fire`);
  const earlier = existsSync(`${name}.json`)
    ? (JSON.parse(readFileSync(`${name}.json`, 'utf8')) as FireData)
    : undefined;
  const data = merged(earlier, measured, order);
  writeFileSync(`${name}.md`, textOf(head, data));
  writeFileSync(`${name}.json`, `${JSON.stringify(data, null, 2)}\n`);
}

/** Sides can be measured one by one: earlier ones of the same commit and plan stay, unless they were measured again. */
export function merged(
  earlier: FireData | undefined,
  measured: FireData,
  order: readonly SideName[],
): FireData {
  if (earlier?.commit !== measured.commit || earlier.plan !== measured.plan) return measured;
  const kept = earlier.sides.filter(({ side }) => measured.sides.every((one) => one.side !== side));
  const all = [...kept, ...measured.sides];
  return { ...measured, sides: order.flatMap((side) => all.filter((one) => one.side === side)) };
}
