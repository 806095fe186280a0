import type { Outcome } from '../history/event.js';
import { ChaosClient, type ClientDependencies, type ClientPlan } from './client.js';
import type { Wire, WireAnswer } from './wire.js';

export interface PublisherPlan extends ClientPlan {
  readonly command: 'publish' | 'direct';
  /** Topics, or users. */
  readonly targets: readonly string[];
  readonly perSec: number;
  /** Filler of each payload. */
  readonly payloadBytes?: number;
}

interface Operation {
  readonly name: string;
  readonly target: string;
  attempt: number;
}

const tickMs = 50;
/** With more operations under way, no new ones are begun. */
const underWayLimit = 400;
/** One of so many acknowledged operations is sent again, to see that it is stored once. */
const repeatOneOf = 25;
/** One of so many publishes waits for the confirmation of subscribers. */
const confirmOneOf = 10;
const confirmLimitMs = 1000;
/** Longest wait before what was refused is sent again, in milliseconds. */
const retryMaxMs = 500;

/** A client that publishes without waiting for answers, and repeats what was refused or lost with the same key. */
export class Publisher extends ChaosClient {
  private readonly underWay = new Map<string, Operation>();
  private readonly again: Operation[] = [];
  /** Refused operations that wait before they are sent again. */
  private waiting = 0;
  private readonly filler: string;
  private count = 0;
  private isPublishing = true;
  private debt = 0;
  private readonly ticks = setInterval(() => this.tick(), tickMs);

  constructor(
    dependencies: ClientDependencies,
    override readonly plan: PublisherPlan,
  ) {
    super(dependencies, plan);
    this.filler = 'x'.repeat(plan.payloadBytes ?? 0);
  }

  /** Begins no new operations. */
  finish(): void {
    this.isPublishing = false;
  }

  /** Whether every operation has its final outcome. */
  get isDone(): boolean {
    return this.underWay.size + this.again.length + this.waiting === 0;
  }

  override stop(): void {
    clearInterval(this.ticks);
    for (const operation of this.underWay.values())
      if (this.isUp) this.record(operation, { outcome: 'unanswered' });
    this.underWay.clear();
    super.stop();
  }

  protected opening(): Record<string, never> {
    return {};
  }

  protected onConnected(): void {}
  protected onEvent(): void {}
  protected onDisconnected(): void {}

  private tick(): void {
    const { wire } = this;
    if (!this.isUp || wire === undefined) return;
    for (const operation of this.again.splice(0)) void this.send(wire, operation);
    if (!this.isPublishing) return;
    this.debt += (this.plan.perSec * tickMs) / 1000;
    for (; this.debt >= 1; this.debt--) {
      if (this.underWay.size >= underWayLimit) continue;
      const { targets } = this.plan;
      const target = targets[this.dependencies.random(targets.length)]!;
      void this.send(wire, { name: `${this.name}-${++this.count}`, target, attempt: 0 });
    }
  }

  private async send(wire: Wire, operation: Operation): Promise<void> {
    operation.attempt++;
    this.underWay.set(operation.name, operation);
    const { command } = this.plan;
    const { name, target, attempt } = operation;
    this.dependencies.recorder.add({
      kind: command,
      client: this.name,
      connection: this.connection,
      operation: name,
      attempt,
      target,
      body: name,
    });
    const payload = { body: name, ...(this.filler !== '' && { filler: this.filler }) };
    const confirm = { confirm: 'delivered', timeout_ms: confirmLimitMs };
    const answer = await wire.call(
      command,
      command === 'publish'
        ? {
            topic: target,
            payload,
            key: name,
            ...(this.dependencies.random(confirmOneOf) === 0 && confirm),
          }
        : { to: target, payload, key: name, ...confirm },
    );
    if (!this.underWay.delete(name)) return;
    const outcome = outcomeOf(answer);
    this.record(operation, outcome);
    const isDone = outcome.outcome === 'acknowledged';
    if (isDone && this.dependencies.random(repeatOneOf) !== 0) return;
    if (isDone && attempt > 1) return;
    this.waiting++;
    if (outcome.outcome === 'refused')
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(retryMaxMs, answer?.error?.retry_after_ms ?? tickMs)),
      );
    this.waiting--;
    this.again.push(operation);
  }

  private record({ name, target, attempt }: Operation, outcome: Outcome): void {
    this.dependencies.recorder.add({
      kind: this.plan.command === 'publish' ? 'published' : 'direct-answered',
      client: this.name,
      connection: this.connection,
      operation: name,
      attempt,
      target,
      ...outcome,
    });
  }
}

function outcomeOf(answer: WireAnswer | undefined): Outcome {
  if (answer === undefined) return { outcome: 'lost' };
  if (!answer.ok) return { outcome: 'refused', code: answer.error?.code ?? 'none' };
  const { id = '', epoch, sequence = 0, durability, duplicate, delivered, expected } = answer;
  return {
    outcome: 'acknowledged',
    id,
    sequence,
    ...(epoch !== undefined && { epoch }),
    ...(durability !== undefined && { durability }),
    ...(duplicate !== undefined && { duplicate }),
    ...(delivered !== undefined && { delivered }),
    ...(expected !== undefined && { expected }),
  };
}
