import { setTimeout as sleep } from 'node:timers/promises';
import { cutToCells } from '../cells.js';
import { CliError, usageError } from '../cli-error.js';
import { exitCodes, type ExitCode } from '../exit-codes.js';
import type { ServiceContext } from '../run-command.js';
import { ServiceClient } from '../target/service-client.js';
import { printable } from '../text-table.js';
import { topLines } from './top-screen.js';
import { topView, type TopSample, type TopTalker, type TopView } from './top-view.js';

/** Options of `rtc top`. */
export interface TopOptions {
  /** Between two looks, in milliseconds. */
  readonly interval: number;
  /** Ends after this number of looks. */
  readonly count?: number;
}

const escape = '\u001b[';
/** Another screen without a cursor, so that what was there comes back. A line that is too long is cut, not broken. */
const enter = `${escape}?1049h${escape}?25l${escape}?7l`;
const leave = `${escape}?7h${escape}?25h${escape}?1049l`;

/** Shows what the service does, until `q`, Ctrl-C, or the end of `--count`. */
export async function top(options: TopOptions, context: ServiceContext): Promise<ExitCode> {
  const { stdin, stdout } = process;
  const { terminal, target } = context;
  const isScreen = stdout.isTTY === true && !terminal.isJson;
  if (!isScreen && !terminal.isJson)
    throw usageError('rtc top needs a terminal', 'rtc top --json --count 1 prints the same figures');
  const stop = new AbortController();
  const quit = () => stop.abort();
  const stopped = new Promise<undefined>((resolve) =>
    stop.signal.addEventListener('abort', () => resolve(undefined)),
  );
  const onKey = (keys: Buffer) => {
    if (/[q\u0003]/.test(keys.toString())) quit();
  };
  // What is still asked when one quits would keep the process, to the end of its time limit.
  const client = new ServiceClient(target, { timeoutMs: context.timeoutMs, signal: stop.signal });
  let before = await sample(client);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, quit);
  if (isScreen) {
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', onKey).resume();
    stdout.write(enter);
  }
  let shown: TopView | undefined;
  const show = (view: TopView) => {
    shown = view;
    const { columns = 80, rows = 24 } = stdout;
    const lines = topLines(view, { url: target.url, columns, rows, paint: terminal.paint });
    // Each line is cleared and written at once, then everything below is cleared: no flicker.
    const below = lines.length < rows ? `\r\n${escape}J` : '';
    stdout.write(`${escape}H${lines.map((line) => `${escape}K${line}`).join('\r\n')}${below}`);
  };
  const onResize = () => shown && show(shown);
  if (isScreen) stdout.on('resize', onResize);
  try {
    for (let looks = 0; looks < (options.count ?? Infinity) && !stop.signal.aborted; looks++) {
      await sleep(options.interval, undefined, { signal: stop.signal }).catch(() => {});
      if (stop.signal.aborted) break;
      const now = await Promise.race([sample(client), stopped]).catch((error: unknown) => {
        // A replica that restarts is what one looks at this for.
        if (!isScreen || !(error instanceof CliError)) throw error;
        return error;
      });
      if (now === undefined) break;
      if (now instanceof CliError) {
        stdout.write(`${escape}H${escape}K${cutToCells(printable(now.message), stdout.columns ?? 80)}`);
        continue;
      }
      const view = topView(before, now);
      before = now;
      if (isScreen) show(view);
      else terminal.result(view, () => '');
    }
    return exitCodes.done;
  } finally {
    // Also where a look failed.
    quit();
    if (isScreen) {
      stdout.off('resize', onResize);
      stdout.write(leave);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.off('data', onKey).pause();
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, quit);
  }
}

async function sample(client: ServiceClient): Promise<TopSample> {
  const talkers = (by: string, sort: string) =>
    client.ask<{ talkers: readonly TopTalker[] }>('/admin/talkers', { query: { by, sort } });
  const [cluster, topics, users, busy] = await Promise.all([
    client.ask<Pick<TopSample, 'mode' | 'replicas'>>('/admin/cluster'),
    client.ask<Pick<TopSample, 'topics'>>('/admin/topics', { query: { limit: 1000 } }),
    talkers('user', 'commands'),
    talkers('topic', 'messages'),
  ]);
  return {
    at: Date.now(),
    mode: cluster.mode,
    replicas: cluster.replicas,
    topics: topics.topics,
    users: users.talkers,
    busy: busy.talkers,
  };
}
