// Runs the service under faults and checks what its clients have seen. See docs/chaos.md.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describe } from './checker/describe.js';
import { breachNames, type BreachName } from './faults/breaches.js';
import { runScenario, type ScenarioResult } from './run-scenario.js';
import type { Scenario } from './scenarios/scenario.js';
import { scenarios } from './scenarios/scenarios.js';
import type { Apps } from './world.js';

const usage = `npm run chaos -- [options]
  --list            lists the scenarios
  --scenario NAME   only this one, or several, separated by commas
  --seed N          decides all that is random; without it, a new one, which is printed
  --seeds N         that many seeds, one after the other (1)
  --plant BREACH    plants a breach: ${breachNames.join(', ')}; then the run succeeds if it is found
  --app DIR         runs the service of another checkout, which is built
  --old DIR         a built checkout of the release before, for the scenarios "upgrade" and "downgrade"
  --history FILE    writes the whole history of the last run to this file, one JSON object a line`;

/** Of each rule the first violation is printed with its history, and the sentences of so many more. */
const furtherLimit = 5;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

interface Options {
  readonly apps: Apps;
  readonly breach?: BreachName;
  readonly historyFile?: string;
}

/** Runs one scenario and prints its outcome. True if it is as it should be. */
async function runAndPrint(
  scenario: Scenario,
  seed: number,
  { apps, breach, historyFile }: Options,
): Promise<boolean> {
  const result = await runScenario({ scenario, seed, apps, ...(breach !== undefined && { breach }) });
  if (historyFile !== undefined)
    writeFileSync(historyFile, result.events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  const { violations } = result;
  const isClean = violations.length === 0;
  const verdict = isClean ? 'clean' : `${violations.length} VIOLATIONS`;
  console.log(`${scenario.name.padEnd(20)} seed ${String(seed).padEnd(11)} ${countsOf(result)}  ${verdict}`);
  for (const rule of new Set(violations.map((one) => one.rule))) {
    const [first, ...more] = violations.filter((one) => one.rule === rule);
    console.log(describe(result.events, first!));
    for (const { text } of more.slice(0, furtherLimit)) console.log(`[${rule}] ${text}`);
    if (more.length > furtherLimit) console.log(`[${rule}] and ${more.length - furtherLimit} more`);
  }
  if (!isClean && breach === undefined)
    console.log(`again: npm run chaos -- --scenario ${scenario.name} --seed ${seed}`);
  return isClean === (breach === undefined);
}

function countsOf({ events, tookMs }: ScenarioResult): string {
  const count = (kind: string) => String(events.filter((event) => event.kind === kind).length);
  return `${(tookMs / 1000).toFixed(0).padStart(3)} s ${count('publish').padStart(6)} publishes ${count('message').padStart(7)} deliveries ${count('fault').padStart(3)} faults`;
}

function chosen(names: string | undefined, hasOld: boolean): readonly Scenario[] {
  if (names === undefined) return scenarios.filter(({ needsOld }) => needsOld !== true || hasOld);
  return names.split(',').map((name) => {
    const scenario = scenarios.find((one) => one.name === name);
    if (scenario === undefined) throw new Error(`there is no scenario "${name}"; --list lists them`);
    if (scenario.needsOld === true && !hasOld) throw new Error(`scenario "${name}" needs --old`);
    return scenario;
  });
}

function breachOf(name: string | undefined): BreachName | undefined {
  const breach = breachNames.find((one) => one === name);
  if (name !== undefined && breach === undefined)
    throw new Error(`there is no breach "${name}"; there are ${breachNames.join(', ')}`);
  return breach;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      seed: { type: 'string' },
      seeds: { type: 'string', default: '1' },
      plant: { type: 'string' },
      app: { type: 'string', default: join(__dirname, '..', '..', '..') },
      old: { type: 'string' },
      history: { type: 'string' },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  if (values.list) {
    for (const { name, what } of scenarios) console.log(`${name.padEnd(20)}${what}`);
    return;
  }
  const breach = breachOf(values.plant);
  const firstSeed = Number(values.seed ?? Date.now() % 1_000_000);
  const seeds = Array.from({ length: Number(values.seeds) }, (_, n) => firstSeed + n);
  if (!seeds.every(Number.isSafeInteger)) throw new Error('--seed and --seeds are whole numbers');
  const options: Options = {
    apps: { current: resolve(values.app), ...(values.old !== undefined && { old: resolve(values.old) }) },
    ...(breach !== undefined && { breach }),
    ...(values.history !== undefined && { historyFile: values.history }),
  };
  let failed = 0;
  for (const seed of seeds)
    for (const scenario of chosen(values.scenario, values.old !== undefined))
      if (!(await runAndPrint(scenario, seed, options))) failed++;
  console.log(failed === 0 ? 'all as expected' : `${failed} runs not as expected`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main().then(
  // Sockets of clients that are closing must not keep the process.
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
