import assert from 'node:assert/strict';
import type { Position } from '../../shared/position.js';
import { Outbox, type SendBufferBudget } from '../../server/fanout/outbox.js';
import type { Subscriber } from '../../server/fanout/subscriber.js';
import type { Wire } from '../../server/protocol/connection.js';
import type { FakeClock } from './fake-clock.js';
import { FakeTransport } from './fake-transport.js';

interface Gap extends Position {
  readonly topic: string;
  readonly previous?: Position;
  readonly dropped?: number;
  readonly reason: string;
}

/**
 * A subscriber on a {@link FakeTransport}. Its client fails if it gets a message twice or out of order, or
 * misses one without a gap.
 */
export class FakeSubscriber implements Subscriber {
  readonly outbox: Outbox;
  readonly transport: FakeTransport;
  readonly sessionId = 'session';
  readonly address = '127.0.0.1';
  readonly connectedAt = 0;
  readonly identity = { userId: 'ann' } as Subscriber['identity'];
  /** The reason for which the service has closed it. */
  disconnectedFor: string | undefined;
  /** Position of the client in each of its topics. */
  readonly positions = new Map<string, Position>();
  readonly gaps: Gap[] = [];
  private read = 0;
  /** Called when the service closes the connection. */
  onDisconnect = (): void => {};
  /** Whether a message may follow a position of its topic without a gap. */
  isContinued = (_topic: string, _at: Position, _next: Position): boolean => true;

  constructor(
    dependencies: { readonly clock: FakeClock; readonly budget: SendBufferBudget },
    readonly id: string,
    readonly wire: Wire = 'socketio',
    transport: 'websocket' | 'polling' = 'websocket',
  ) {
    this.transport = new FakeTransport(dependencies.clock, id, transport);
    this.outbox = new Outbox(this.transport.forOutbox(), wire, dependencies.budget);
  }

  /** Starts to listen to a topic, from its last position there. */
  startAt(topic: string, { epoch, sequence }: Position): void {
    this.positions.set(topic, { epoch, sequence });
  }

  emit(event: string, data: unknown): void {
    this.transport.write(`2${JSON.stringify([event, data])}`);
  }

  expectAck(): void {}

  disconnect(reason: { readonly code: string }): void {
    this.disconnectedFor = reason.code;
    this.onDisconnect();
    this.transport.close();
    this.outbox.close();
  }

  /** Checks what has arrived. */
  takeReceived(): void {
    const { received } = this.transport;
    while (this.read < received.length) this.take(received[this.read++]!);
  }

  private take(text: string): void {
    const [event, data] = text.startsWith('{')
      ? ['message', (JSON.parse(text) as { data: unknown }).data]
      : (JSON.parse(text.slice(2)) as [string, unknown]);
    if (event === 'message') this.takeMessage(data as Position & { topic: string; payload: string });
    else if (event === 'gap') this.takeGap(data as Gap);
  }

  private takeMessage({
    topic,
    epoch,
    sequence,
    payload,
  }: Position & { topic: string; payload: string }): void {
    const at = this.positions.get(topic);
    // Messages in flight when it left a topic still arrive.
    if (at === undefined) return;
    assert.equal(sequence, at.sequence + 1, `${this.id} gets the next message of ${topic}`);
    assert.ok(payload.startsWith(`${epoch}:${sequence} `), 'the message of that position');
    assert.ok(
      this.isContinued(topic, at, { epoch, sequence }),
      `${this.id} gets ${epoch}:${sequence} of ${topic} behind ${at.epoch}:${at.sequence}, which that log has not had`,
    );
    this.positions.set(topic, { epoch, sequence });
  }

  private takeGap(gap: Gap): void {
    const at = this.positions.get(gap.topic);
    if (at === undefined) return;
    if (gap.previous !== undefined)
      assert.equal(
        gap.previous.sequence,
        at.sequence,
        `${this.id} gets the start of its gap in ${gap.topic}`,
      );
    if (gap.dropped !== undefined)
      assert.equal(gap.sequence, at.sequence + gap.dropped, 'as many as were dropped');
    this.gaps.push(gap);
    this.startAt(gap.topic, gap);
  }
}
