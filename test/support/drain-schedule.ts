import { setTimeout as sleep } from 'node:timers/promises';
import { DeployedClient, problemsOf } from '../../bench/reload/deployed-client.js';
import { seededRandom, type Random } from '../../bench/seeded-random.js';
import { ok } from './admin.js';
import { Closing } from './closing.js';
import { DeployedCrowd } from './deployed-crowd.js';
import { OddClients, pollWithForgedIds } from './odd-clients.js';
import { TestRedis } from './redis.js';
import type { TestReplica } from './replica.js';
import { RoundRobin, type PassedRequest } from './round-robin.js';
import { ScheduledReplica } from './scheduled-replica.js';
import { until } from './wait.js';

/** Messages come many times a second. Where half of the polls take longer than this, in milliseconds, the machine is overloaded. */
const overloadMs = 150;

/** What a schedule may do. `orderly`: only drains, so that all promises hold without exception. */
export type ScheduleKind = 'orderly' | 'rough';

/**
 * Three replicas behind a balancer without sticky sessions, stock clients of all wires, publishers, clients that behave badly, and what
 * happens to all of them.
 */
export class DrainSchedule {
  /** What has happened, with the seconds since the start. */
  readonly notes: string[] = [];
  private readonly random: Random;
  private readonly closing = new Closing();
  private readonly problems: string[] = [];
  private readonly startedAt = performance.now();
  private readonly replicas: ScheduledReplica[] = [];
  /** Of the replicas that are drained: resolve when each has been replaced. */
  private readonly replacements: Promise<void>[] = [];
  private redis!: TestRedis;
  private redisIsWell = true;

  constructor(
    seed: number,
    private readonly kind: ScheduleKind,
  ) {
    this.random = seededRandom(seed);
  }

  /** Resolves to what was wrong. */
  async run(): Promise<string[]> {
    try {
      await this.play();
    } catch (error) {
      this.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      await this.closing.close();
    }
    return this.problems;
  }

  private note(text: string): void {
    this.notes.push(`${((performance.now() - this.startedAt) / 1000).toFixed(2)} ${text}`);
  }

  private async play(): Promise<void> {
    const { random, replicas, closing } = this;
    this.redis = await closing.started(TestRedis.start('aof'));
    for (const name of ['a', 'b', 'c']) {
      const windowSecs = [0, 1, 3, 3][random(4)]!;
      replicas.push(await closing.started(ScheduledReplica.start(name, windowSecs, this.redis.url)));
    }
    this.note(`windows ${replicas.map(({ windowSecs }) => windowSecs).join()}`);
    for (const replica of replicas) await replica.listens();
    const balancer = await closing.started(RoundRobin.start(replicas.map(({ port }) => port)));
    const crowd = await DeployedCrowd.start(
      balancer.url,
      { clients: 12, wires: ['polling', 'websocket', 'polling', 'json'], publishers: 2 },
      closing,
    );
    const oddClients = new OddClients(balancer.url, replicas);
    closing.add(() => oddClients.stop());
    for (let events = 6 + random(5); events > 0; events--) {
      await sleep(random(1500));
      await this.event();
    }
    await Promise.all(this.replacements);
    await this.healRedis();
    await crowd.finish(60_000);
    await oddClients.stop();
    await this.check(crowd, balancer);
    this.problems.push(...(await oddClients.problems(this.kind === 'orderly')));
    this.notes.push(...oddClients.notes);
  }

  private async event(): Promise<void> {
    const { random, replicas } = this;
    const replica = replicas[random(3)]!;
    const inService = replicas.filter(({ isInService }) => isInService);
    // One replica stays, as in every deployment.
    const mayLeave = replica.isInService && inService.length > 1;
    const choice = random(this.kind === 'orderly' ? 4 : 10);
    if (choice <= 1) {
      if (mayLeave) this.terminate(replica);
    } else if (choice === 2) {
      if (mayLeave && this.redisIsWell)
        await this.drainByOperator(
          replica,
          inService.find((one) => one !== replica)!,
        );
    } else if (choice <= 4) await this.forge(replicas[random(3)]!);
    else if (choice === 5) this.force(replica);
    else if (choice === 6) this.kill(replica, mayLeave);
    else if (choice === 7) await this.pauseRedis();
    else if (choice === 8) await this.restartRedis();
    else if (replica.isInService || replica.isDraining) {
      this.note(`the clock of ${replica.name} jumps`);
      replica.jumpClock();
    }
  }

  private terminate(replica: ScheduledReplica): void {
    this.note(`SIGTERM ${replica.name}`);
    this.drainBegins(replica);
    replica.terminate();
  }

  private async drainByOperator(replica: ScheduledReplica, other: ScheduledReplica): Promise<void> {
    this.note(`drain ${replica.name} through ${other.name}`);
    try {
      await ok(other as { readonly url: string } as TestReplica, 'POST', `/replicas/${replica.name}/drain`);
    } catch (error) {
      // It may drain or not; what follows treats it as one that does not.
      this.note(`refused: ${String(error)}`);
      if (this.kind === 'orderly') throw error;
      return;
    }
    this.drainBegins(replica);
    if (this.random(2) === 0) return;
    await sleep(this.random(1200));
    this.note(`SIGTERM ${replica.name}, drained by an operator`);
    replica.terminate();
  }

  private force(replica: ScheduledReplica): void {
    // Before, it would be the same request.
    if (!replica.isDraining || replica.drainsForMs < 1200) return;
    this.note(`second SIGTERM ${replica.name}`);
    replica.force();
  }

  private kill(replica: ScheduledReplica, mayLeave: boolean): void {
    if (!replica.isDraining && !mayLeave) return;
    this.note(`SIGKILL ${replica.name}`);
    if (replica.isInService) this.drainBegins(replica);
    replica.killNow();
  }

  private async forge({ name, url }: ScheduledReplica): Promise<void> {
    const statuses = await pollWithForgedIds(url, this.random);
    const wrong = statuses.filter((status) => ![0, 400, 429, 503].includes(status));
    if (wrong.length > 0) this.problems.push(`forged ids at ${name}: ${wrong.join()}`);
  }

  private async pauseRedis(): Promise<void> {
    await this.troubleRedis('pauses', async (forMs) => {
      await this.redis.signal('SIGSTOP');
      await sleep(forMs);
      await this.redis.signal('SIGCONT');
    });
  }

  private async restartRedis(): Promise<void> {
    await this.troubleRedis('is down', async (forMs) => {
      this.redisIsWell = false;
      await this.redis.signal('SIGKILL');
      await sleep(forMs);
      await this.healRedis();
    });
  }

  private async troubleRedis(what: string, trouble: (forMs: number) => Promise<void>): Promise<void> {
    const forMs = 200 + this.random(2500);
    this.note(`Redis ${what} for ${forMs} ms`);
    for (const replica of this.replicas) replica.hadTrouble = true;
    await trouble(forMs);
    // Of those that have been replaced meanwhile, too.
    for (const replica of this.replicas) replica.hadTrouble = true;
  }

  private async healRedis(): Promise<void> {
    if (this.redisIsWell) return;
    await this.redis.run();
    this.redisIsWell = true;
  }

  private drainBegins(replica: ScheduledReplica): void {
    replica.drainBegins();
    const pauseMs = this.random(1500);
    this.replacements.push(this.replaceWhenEnded(replica, pauseMs));
  }

  private async replaceWhenEnded(replica: ScheduledReplica, pauseMs: number): Promise<void> {
    const { did, problems } = await replica.ended();
    this.note(did);
    this.problems.push(...problems);
    await sleep(pauseMs);
    await until(() => this.redisIsWell, 'Redis is back');
    await replica.replace();
    this.note(`${replica.name} is new`);
  }

  private async check(crowd: DeployedCrowd, balancer: RoundRobin): Promise<void> {
    const { clients, publishers } = crowd;
    const { problems, kind } = this;
    const sequences = publishers.flatMap(({ acknowledged }) =>
      acknowledged.map(({ answer }) => answer.sequence!),
    );
    const last = Math.max(...sequences);
    if (new Set(sequences).size !== sequences.length) problems.push('acknowledged twice at one position');
    for (const { acknowledged } of publishers)
      if (
        acknowledged.some(
          ({ answer }, n) => n > 0 && answer.sequence! <= acknowledged[n - 1]!.answer.sequence!,
        )
      )
        problems.push('the order of a publisher');
    await until(
      () => clients.every(({ messages }) => messages.at(-1)?.sequence === last),
      'all have the last message',
      20_000,
    ).catch((error: Error) => problems.push(error.message));
    for (const [n, client] of clients.entries())
      for (const text of this.lossesOf(client, sequences))
        problems.push(`client ${n}, ${client.wire}: ${text}`);
    for (const replica of this.replicas) problems.push(...replica.logProblems());
    const reasons = new Set(clients.flatMap(({ endReasons }) => endReasons));
    this.note(`acknowledged ${sequences.length}; reasons ${[...reasons].join('; ')}`);
    if (kind === 'orderly') problems.push(...this.unknownOf(balancer.passed));
  }

  /**
   * Polls of stock clients that were answered with "session id unknown", while the machine kept up: a replica that ends waits for a second at most. A replica without a drain window has only a moment for those that are between
   * two polls; all others tell them first.
   */
  private unknownOf(passed: readonly PassedRequest[]): string[] {
    const problems: string[] = [];
    const polls = passed.filter(({ method, status }) => method === 'GET' && status === 200);
    const tookMs = polls.map(({ at, answeredAt }) => answeredAt - at).sort((a, b) => a - b);
    const medianMs = Math.round(tookMs[tookMs.length >> 1]!);
    this.note(`half of ${polls.length} polls took more than ${medianMs} ms`);
    if (medianMs > overloadMs) return [];
    for (const { method, url, status, at } of passed) {
      // Stock clients write their number into their requests.
      const { c: client, sid } = queryOf(url);
      if (method !== 'GET' || status !== 400 || client === undefined) continue;
      const own = passed.filter((one) => queryOf(one.url)['c'] === client && one.answeredAt <= at);
      const handshake = own.findLast((one) => queryOf(one.url)['sid'] === undefined && one.status === 200);
      if (handshake !== undefined && this.replicas[handshake.replica]!.windowSecs === 0) continue;
      const before = own.filter((one) => queryOf(one.url)['sid'] === sid).slice(-5);
      const way = before.map(
        (one) => `${one.method} at ${one.replica}: ${this.secondsOf([one.at, one.answeredAt])}`,
      );
      problems.push(`session id unknown: client ${client}, ${this.secondsOf([at])}, after ${way.join('; ')}`);
    }
    return problems;
  }

  private lossesOf(client: DeployedClient, acknowledged: readonly number[]): string[] {
    const problems = problemsOf(client);
    if (!client.givesPositions) return problems;
    const later = client.recovered.slice(1);
    const seen = new Set(client.messages.map(({ sequence }) => sequence));
    const missing = acknowledged.filter((sequence) => !seen.has(sequence));
    if (missing.length > 0 && !later.includes(false))
      problems.push(`lacks ${missing.length}, such as ${missing[0]}, and was not told`);
    if (seen.size !== client.messages.length) problems.push('has messages twice');
    if (this.kind === 'orderly' && later.some((recovered) => recovered !== true))
      problems.push(
        `recovered: ${client.recovered.join()}; ended at ${this.secondsOf(client.endsAt)} (${client.endReasons.join()}), ready at ${this.secondsOf(client.connectedAt)}`,
      );
    return problems;
  }

  private secondsOf(moments: readonly number[]): string {
    return moments.map((at) => ((at - this.startedAt) / 1000).toFixed(2)).join();
  }
}

function queryOf(url: string): Record<string, string | undefined> {
  return Object.fromEntries(new URL(url, 'http://localhost').searchParams);
}
