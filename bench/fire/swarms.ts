import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { cpuSecsOf } from '../processes.js';
import type { SwarmPlan, SwarmReport, SwarmRequest, SwarmResult } from './swarm.js';

/** The client processes of a run. */
export class Swarms {
  private readonly children: ChildProcess[] = [];
  private readonly counts: number[] = [];

  /** Starts them; resolves when all clients are subscribed. */
  static async start(plan: SwarmPlan, processes: number): Promise<Swarms> {
    const swarms = new Swarms();
    const share = Math.ceil(plan.clients / processes);
    const parts: SwarmPlan[] = [];
    for (let first = 0; first < plan.clients; first += share)
      parts.push({ ...plan, first, clients: Math.min(share, plan.clients - first) });
    try {
      await Promise.all(parts.map((part, n) => swarms.startOne(part, n)));
      return swarms;
    } catch (error) {
      swarms.stop();
      throw error;
    }
  }

  /** Clients with a subscription, a quarter of a second ago at most. */
  get ready(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  cpuSecs(): number {
    return this.children.reduce((sum, { pid }) => sum + cpuSecsOf(pid!), 0);
  }

  ask(request: SwarmRequest): void {
    for (const child of this.children) child.send(request);
  }

  /** Resolves when every client has everything, or the time is up. */
  async finish(bounds: readonly (readonly number[])[], limitMs: number): Promise<SwarmResult[]> {
    const results = this.children.map(
      (child) =>
        new Promise<SwarmResult>((resolve, reject) => {
          child.on('message', (report: SwarmReport) => report.at === 'done' && resolve(report.result));
          child.once('exit', (code) => reject(new Error(`a client process ended with ${code}`)));
        }),
    );
    this.ask({ ask: 'finish', bounds, limitMs });
    return Promise.all(results);
  }

  stop(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }

  private startOne(part: SwarmPlan, n: number): Promise<void> {
    const child = fork(join(__dirname, 'swarm.js'), [JSON.stringify(part)]);
    this.children.push(child);
    this.counts.push(part.clients);
    return new Promise((resolve, reject) => {
      child.on('message', (report: SwarmReport) => {
        if (report.at === 'ready') resolve();
        else if (report.at === 'count') this.counts[n] = report.ready;
      });
      child.once('exit', (code) => reject(new Error(`a client process ended with ${code}`)));
    });
  }
}
