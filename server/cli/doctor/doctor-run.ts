import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertWritable, writeAtomically } from '../atomic-file.js';
import { cannotRead, cannotWrite, usageError } from '../cli-error.js';
import type { RedisTls } from '../../storage/redis/redis-tls.js';
import type { Target } from '../target/target.js';
import type { Terminal } from '../terminal.js';
import { readObservations } from './bundle.js';
import { judge } from './judge.js';
import { gather } from './look/gather.js';
import type { Observations } from './observations.js';
import { doctorExit, nagiosLine, prometheusText, reportOf, reportText } from './report.js';
import { assertSelection, select, type Selected, type Selection } from './selection.js';

/** Options of `rtc doctor`. */
export interface DoctorOptions extends Selection {
  readonly replica: readonly string[];
  /** Wait so long until it is well, in milliseconds. */
  readonly wait?: number;
  readonly idle?: number;
  /** Address of Redis, to look at it directly. */
  readonly redis?: string;
  readonly save?: string;
  readonly from?: string;
  readonly format: 'text' | 'nagios' | 'prometheus';
}

/** What is looked at: a service, with both tokens. */
export interface DoctorTargets {
  readonly user: Target;
  readonly operator: Target;
  /** Certificates of the settings, for `--redis`. */
  readonly redisTls: RedisTls;
  readonly timeoutMs: number;
}

const retryMs = 1000;

/** Looks, or reads what was seen; judges and reports. Resolves to the exit code. @throws Error that could not look */
export async function doctor(
  options: DoctorOptions,
  targets: () => Promise<DoctorTargets>,
  terminal: Terminal,
): Promise<number> {
  assertSelection(options);
  if (options.from !== undefined) alone(options);
  const { save } = options;
  if (save !== undefined) await assertWritable(save).catch((error: unknown) => cannotWrite(save, error));
  const seen =
    options.from === undefined
      ? await look(options, await targets(), terminal)
      : await readBundle(options.from);
  if (save !== undefined)
    await writeAtomically(save, [`${JSON.stringify(seen, null, 2)}\n`]).catch((error: unknown) =>
      cannotWrite(save, error),
    );
  const report = reportOf(select(judge(seen), seen, options), seen);
  terminal.result(report, () =>
    options.format === 'nagios'
      ? nagiosLine(report)
      : options.format === 'prometheus'
        ? prometheusText(report)
        : reportText(report, terminal.paint),
  );
  return doctorExit[report.verdict];
}

/** What was seen cannot be looked at again. */
function alone({ replica, wait, idle, redis }: DoctorOptions): void {
  const given = { '--replica': replica[0], '--wait': wait, '--idle': idle, '--redis': redis };
  const [name] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (name !== undefined) throw usageError(`--from judges what was seen before: without ${name}`);
}

/** Looks again until all is well, or the time is over. */
async function look(
  options: DoctorOptions,
  targets: DoctorTargets,
  terminal: Terminal,
): Promise<Observations> {
  const deadline = Date.now() + (options.wait ?? 0);
  for (;;) {
    const seen = await gather({
      ...targets,
      replicas: options.replica,
      idleMs: options.idle,
      redis: options.redis,
      onStep: (step) => {
        if (process.stderr.isTTY) terminal.note(`looking at ${step} …`);
      },
    });
    if (!isWorthWaiting(select(judge(seen), seen, options)) || Date.now() + retryMs > deadline) return seen;
    await sleep(retryMs);
  }
}

/** A replica that starts is no failure, but not ready either. */
function isWorthWaiting({ checks, notSeen }: Selected): boolean {
  return (
    notSeen.length > 0 || checks.some(({ code, level }) => level === 'failure' || code === 'RTC-ADDRESS-06')
  );
}

async function readBundle(file: string): Promise<Observations> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => cannotRead(file, error));
  return readObservations(file, text);
}
