import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { cpuSecsOf } from '../processes.js';
import type { StormCommand, StormLoadPlan, StormReport } from './load.js';

type ReportAt<At extends StormReport['at']> = Extract<StormReport, { readonly at: At }>;

/** The load processes of a storm. */
export class StormLoads {
  private readonly children: readonly ChildProcess[];
  private readonly ended: Promise<never>;

  /** Each process has its share of the clients. */
  constructor(plan: Omit<StormLoadPlan, 'first'>, processes: number) {
    this.children = Array.from({ length: processes }, (_, i) => {
      const first = Math.floor((plan.clients * i) / processes);
      const clients = Math.floor((plan.clients * (i + 1)) / processes) - first;
      const own: StormLoadPlan = { ...plan, first, clients };
      return fork(join(__dirname, 'load.js'), [JSON.stringify(own)], {
        execArgv: ['--max-semi-space-size=64'],
      });
    });
    this.ended = new Promise((_, reject) => {
      for (const child of this.children)
        child.once('exit', (code) => reject(new Error(`a load process ended with ${code}`)));
    });
    this.ended.catch(() => {});
  }

  /** Processor seconds of the busiest process since these figures of {@link cpu}. */
  busiestSince(before: readonly number[]): number {
    return Math.max(...this.cpu().map((secs, i) => secs - before[i]!));
  }

  /** Processor seconds of each process. */
  cpu(): number[] {
    return this.children.map(({ pid }) => cpuSecsOf(pid!));
  }

  send(command: StormCommand): void {
    for (const child of this.children) child.send(command);
  }

  /** Resolves with the reports of all processes. To be called before the command is sent. */
  reports<At extends StormReport['at']>(at: At): Promise<ReportAt<At>[]> {
    const reportOf = (child: ChildProcess) =>
      new Promise<ReportAt<At>>((resolve) => {
        const onMessage = (message: StormReport) => {
          if (message.at !== at) return;
          child.off('message', onMessage);
          resolve(message as ReportAt<At>);
        };
        child.on('message', onMessage);
      });
    return Promise.race([Promise.all(this.children.map(reportOf)), this.ended]);
  }

  stop(): void {
    for (const child of this.children) {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
    }
  }
}
