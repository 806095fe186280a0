// Attacks the service by every known method, one after the other, and judges what that does to everybody else.
// See docs/performance.md.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Attack, AttackCounts, Attacker } from './attack.js';
import type { AttackOrder } from './attacker.js';
import type { HonestResult } from './honest.js';
import { methods } from './methods.js';
import { prepare } from './preparation.js';
import type { ProbeResult } from './prober.js';
import { ServiceUnderAttack } from './service-under-attack.js';

/** What an attack may do to others. */
const limits = { healthMedianMs: 50, healthMaxMs: 500, growthBytes: 64 * 2 ** 20, p99Ms: 500 } as const;

const usage = `npm run attack -- [options]
  --list          lists the methods
  --only TEXT     only methods whose name contains this text, or is it if it begins with "="
  --as WHO        only as "nobody" or as "user"
  --seconds N     length of each attack (20)
  --redis         the service runs on Redis also where the method does not need it
  --app DIR       attacks the service of another checkout, which is built`;

interface Outcome {
  readonly attack: Attack;
  readonly attacker: Attacker;
  readonly health: ProbeResult;
  readonly honest: HonestResult;
  readonly counts: AttackCounts | undefined;
  readonly growthBytes: number;
  readonly growthAfterBytes: number;
  readonly loggedBytes: number;
  readonly overLimits: readonly string[];
}

/** Children of this run, which end with it. */
const children = new Set<ChildProcess>();
let service: ServiceUnderAttack | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    for (const child of children) child.kill('SIGKILL');
    void (service?.stop() ?? Promise.resolve()).then(() => process.exit(130));
  });

function start(file: string, argument: string): ChildProcess {
  const child = fork(join(__dirname, file), [argument]);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** The next message of a child; undefined if it ends without one. */
async function messageOf<Message>(child: ChildProcess): Promise<Message | undefined> {
  const [message] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => []),
  ])) as unknown[];
  return message as Message | undefined;
}

async function stopAndRead<Result>(child: ChildProcess): Promise<Result> {
  const result = messageOf<Result>(child);
  child.send('stop');
  const read = await result;
  if (read === undefined) throw new Error('a measuring process ended without a result');
  return read;
}

async function run(
  attack: Attack,
  attacker: Attacker,
  { app, seconds, redis }: { app: string; seconds: number; redis: boolean },
): Promise<Outcome> {
  service = await ServiceUnderAttack.start(app, redis || attack.stallsRedis === true);
  try {
    const { port } = service;
    const letGo = attack.prepared === undefined ? () => {} : await prepare(port, attack.prepared);
    const honest = start('honest.js', String(port));
    const prober = start('prober.js', String(port));
    if ((await Promise.all([messageOf(honest), messageOf(prober)])).includes(undefined))
      throw new Error('a measuring process could not start');
    await sleep(500);
    service.watchMemory();
    const rssBefore = service.rss();
    if (attack.stallsRedis === true) service.stallRedis();
    const order: AttackOrder = { method: attack.name, attacker, port, seconds };
    const counts = await messageOf<AttackCounts>(start('attacker.js', JSON.stringify(order)));
    service.continueRedis();
    const growthBytes = service.largestRssBytes - rssBefore;
    const probed = await stopAndRead<ProbeResult>(prober);
    const published = await stopAndRead<HonestResult>(honest);
    await sleep(1500);
    const growthAfterBytes = service.rss() - rssBefore;
    letGo();
    const measured = {
      attack,
      attacker,
      health: probed,
      honest: published,
      counts,
      growthBytes,
      growthAfterBytes,
      loggedBytes: service.loggedBytes,
    };
    return { ...measured, overLimits: overLimits(measured, service) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await service.stop();
    service = undefined;
  }
}

function overLimits(
  { attack, health, honest, counts, growthBytes }: Omit<Outcome, 'overLimits'>,
  { isAlive, bugLine }: ServiceUnderAttack,
): string[] {
  const over: string[] = [];
  if (!isAlive) over.push('the service has ended');
  if (counts === undefined) over.push('the attacker has ended');
  if (bugLine !== undefined) over.push(`log: ${bugLine}`);
  if (health.median >= limits.healthMedianMs) over.push(`health median ${health.median.toFixed(0)} ms`);
  if (health.max > limits.healthMaxMs) over.push(`health max ${health.max.toFixed(0)} ms`);
  if (health.failures > 0) over.push(`${health.failures} of ${health.samples} health requests failed`);
  if (growthBytes >= limits.growthBytes) over.push(`memory +${mib(growthBytes)} MiB`);
  if (honest.wasDisconnected) over.push('the publisher was disconnected');
  if (honest.unanswered > 0) over.push(`${honest.unanswered} publishes were not answered`);
  if (!honest.servedAtEnd) over.push('publishes are refused after the attack');
  // While Redis does not answer, nothing can be acknowledged.
  if (attack.stallsRedis === true) return over;
  if (honest.p99 >= limits.p99Ms) over.push(`publish p99 ${honest.p99.toFixed(0)} ms`);
  const refused = Object.entries(honest.refused).map(([code, times]) => `${times} ${code}`);
  if (refused.length > 0) over.push(`publishes refused: ${refused.join(', ')}`);
  return over;
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function rowOf(one: Outcome): string {
  const { attack, attacker, health, honest, counts } = one;
  const cells = [
    attack.name,
    attacker,
    `${health.median.toFixed(1)} / ${health.max.toFixed(0)}`,
    `${mib(one.growthBytes)} / ${mib(one.growthAfterBytes)}`,
    attack.stallsRedis === true ? '–' : `${honest.p50.toFixed(1)} / ${honest.p99.toFixed(0)}`,
    counts === undefined ? '–' : `${counts.opened} / ${counts.refused} / ${counts.closed}`,
    counts === undefined ? '–' : mib(counts.sentBytes),
    mib(one.loggedBytes),
    one.overLimits.length === 0 ? 'held' : `**${one.overLimits.join('; ')}**`,
  ];
  return `| ${cells.join(' | ')} |`;
}

const head = [
  '| method | as | health median / max, ms | memory peak / after, MiB | publish p50 / p99, ms | opened / refused / closed | sent, MiB | log, MiB | verdict |',
  '|---|---|---|---|---|---|---|---|---|',
].join('\n');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      as: { type: 'string', default: '' },
      seconds: { type: 'string', default: '20' },
      redis: { type: 'boolean', default: false },
      app: { type: 'string', default: join(__dirname, '..', '..', '..') },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  if (values.list) {
    for (const { name, what, as } of methods)
      console.log(`${name.padEnd(28)}${as.join(', ').padEnd(14)}${what}`);
    return;
  }
  const { only } = values;
  const chosen = methods.filter(({ name }) =>
    only.startsWith('=') ? name === only.slice(1) : name.includes(only),
  );
  const app = resolve(values.app);
  const outcomes: Outcome[] = [];
  console.log(head);
  for (const attack of chosen)
    for (const attacker of attack.as.filter((one) => one.includes(values.as))) {
      const outcome = await run(attack, attacker, {
        app,
        seconds: Number(values.seconds),
        redis: values.redis,
      });
      outcomes.push(outcome);
      console.log(rowOf(outcome));
    }
  const over = outcomes.filter(({ overLimits }) => overLimits.length > 0);
  console.log(`\n${outcomes.length - over.length} held, ${over.length} over the limits`);
  process.exitCode = over.length > 0 || outcomes.length === 0 ? 1 : 0;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
