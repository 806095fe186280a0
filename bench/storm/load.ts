import { setTimeout as sleep } from 'node:timers/promises';
import { tokenFor } from '../processes.js';
import { StormClient, type Comeback, type StormClients } from './storm-client.js';
import { topicsOf } from './topics.js';

/** Plan of a load process, passed as one JSON argument. */
export interface StormLoadPlan {
  readonly ports: readonly number[];
  readonly comeback: Comeback;
  /** The clients `first`, `first + 1` …, of all load processes together. */
  readonly first: number;
  readonly clients: number;
  readonly topics: number;
  readonly topicsPerClient: number;
  /** Messages that each topic has before the clients subscribe. */
  readonly history: number;
}

/** What a load process is to do. `numbers`: of the last message of each topic, by the number of the topic. */
export type StormCommand =
  | { readonly do: 'connect' }
  | { readonly do: 'cut' }
  | { readonly do: 'return'; readonly numbers: readonly number[] }
  | { readonly do: 'tell' }
  | { readonly do: 'finish'; readonly numbers: readonly number[]; readonly limitMs: number };

/** What a load process answers: one report for each command, and two for `return`. */
export type StormReport =
  | { readonly at: 'connected' | 'cut' }
  /** Clients that are not back, and those that have not caught up. */
  | { readonly at: 'told'; readonly waiting: number; readonly behind: number; readonly retries: number }
  /** All are subscribed again: milliseconds since the command, one for each client. */
  | {
      readonly at: 'back';
      readonly backMs: readonly number[];
      readonly retries: number;
      readonly recovered: number;
    }
  /** All have what was published before the return: milliseconds since the command. */
  | { readonly at: 'caught-up'; readonly lastMs: number }
  | {
      readonly at: 'finished';
      readonly incomplete: number;
      readonly missing: number;
      readonly repeated: number;
    };

/** Clients that connect at the same time, at first: only their return is a storm. */
const connectGroup = 50;

class StormLoad implements StormClients {
  readonly comeback: Comeback;
  retries = 0;
  private readonly all: readonly StormClient[];
  private readonly waiting = new Map<StormClient, (() => void) | undefined>();
  /** Clients that do not have yet what was published before the return. */
  private readonly behind = new Set<StormClient>();
  private numbers: readonly number[] = [];
  private startedAt = 0;
  private backMs: number[] = [];
  private storms = 0;

  constructor(private readonly plan: StormLoadPlan) {
    const { comeback, first, clients, topics, topicsPerClient, history } = plan;
    this.comeback = comeback;
    this.all = Array.from(
      { length: clients },
      (_, i) =>
        new StormClient(
          this,
          tokenFor(`user-${first + i}`, ['user']),
          topicsOf(first + i, topics, topicsPerClient),
          history,
        ),
    );
  }

  onBack(client: StormClient): void {
    const done = this.waiting.get(client);
    if (!this.waiting.delete(client)) return;
    if (done !== undefined) {
      done();
      return;
    }
    this.backMs.push(performance.now() - this.startedAt);
    if (this.waiting.size === 0) this.allBack();
    this.onMessage(client);
  }

  onMessage(client: StormClient): void {
    if (this.behind.size === 0 || !client.isBack || !client.hasAll(this.numbers)) return;
    if (!this.behind.delete(client) || this.behind.size > 0) return;
    report({ at: 'caught-up', lastMs: performance.now() - this.startedAt });
  }

  async run(command: StormCommand): Promise<void> {
    switch (command.do) {
      case 'connect':
        for (let i = 0; i < this.all.length; i += connectGroup)
          await Promise.all(
            this.all
              .slice(i, i + connectGroup)
              .map((client, k) => this.connected(client, this.portOf(i + k))),
          );
        report({ at: 'connected' });
        return;
      case 'cut':
        for (const client of this.all) client.cut();
        this.storms++;
        report({ at: 'cut' });
        return;
      case 'return':
        this.comeAllBack(command.numbers);
        return;
      case 'tell':
        report({
          at: 'told',
          waiting: this.waiting.size,
          behind: this.behind.size,
          retries: this.retries,
        });
        return;
      case 'finish':
        await this.finish(command.numbers, command.limitMs);
    }
  }

  private connected(client: StormClient, port: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.set(client, resolve);
      client.connect(port);
    });
  }

  /** Half of the clients come back to another replica each time. */
  private portOf(i: number): number {
    const { ports, first } = this.plan;
    const n = first + i;
    return ports[(n + (n >> 1) * this.storms) % ports.length]!;
  }

  private comeAllBack(numbers: readonly number[]): void {
    this.startedAt = performance.now();
    this.backMs = [];
    this.retries = 0;
    this.numbers = numbers;
    for (const client of this.all) {
      this.waiting.set(client, undefined);
      // Without sessions nothing is caught up.
      if (this.comeback === 'session') this.behind.add(client);
    }
    this.all.forEach((client, i) => client.connect(this.portOf(i)));
  }

  private allBack(): void {
    const recovered = this.all.filter((client) => client.recovered === true).length;
    report({ at: 'back', backMs: this.backMs, retries: this.retries, recovered });
    if (this.comeback === 'subscribe')
      report({ at: 'caught-up', lastMs: performance.now() - this.startedAt });
  }

  private async finish(numbers: readonly number[], limitMs: number): Promise<void> {
    const endsAt = performance.now() + limitMs;
    const incomplete = () => this.all.filter((client) => !client.hasAll(numbers)).length;
    while (incomplete() > 0 && performance.now() < endsAt) await sleep(50);
    const behind = incomplete();
    const sums = { missing: 0, repeated: 0 };
    for (const client of this.all) {
      for (const [topic, received] of client.received) {
        received.endsAt(numbers[topic]!);
        sums.missing += received.missing;
        sums.repeated += received.repeated;
      }
    }
    report({ at: 'finished', incomplete: behind, ...sums });
  }
}

function report(message: StormReport): void {
  process.send!(message);
}

const load = new StormLoad(JSON.parse(process.argv[2]!) as StormLoadPlan);
process.on('message', (command: StormCommand) => {
  load.run(command).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
