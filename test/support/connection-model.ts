import assert from 'node:assert/strict';
import type { TestAnswer } from './clients.js';

/** What a token allows, by the roles of {@link orderRules}. */
export type OrderRole = 'reader' | 'writer';

export const orderRules = [
  { role: 'reader', topics: ['*'], allow: ['subscribe', 'history'] },
  { role: 'writer', topics: ['*'], allow: ['publish'] },
];

export type ModelCommand =
  | { readonly kind: 'subscribe'; readonly topics: readonly string[]; readonly fromStart: boolean }
  | { readonly kind: 'unsubscribe'; readonly topics: readonly string[] }
  | { readonly kind: 'publish' | 'history'; readonly topic: string }
  | { readonly kind: 'missed' }
  | { readonly kind: 'refresh'; readonly roles: readonly OrderRole[] };

/** One subscription, with the sequences of the messages that its client gets. */
interface Interval {
  /** The message before the first one. */
  readonly start: number;
  /** The last one that it may get; undefined: it goes on. */
  end: number | undefined;
}

interface Listed {
  readonly topic: string;
  readonly sequence: number;
}

/**
 * A connection whose commands run one after the other, by rules as plain as possible. Nobody else publishes to its
 * topics, and each has one message at first. {@link take} fails if an answer is not that of this model.
 */
export class ConnectionModel {
  private readonly lengths = new Map<string, number>();
  private readonly subscribed = new Set<string>();
  private readonly intervals = new Map<string, Interval[]>();

  constructor(
    private roles: readonly OrderRole[],
    private readonly commands: readonly ModelCommand[],
  ) {}

  get topics(): string[] {
    return [...this.subscribed].sort();
  }

  /** The number of messages of a topic. */
  lengthOf(topic: string): number {
    return this.lengths.get(topic) ?? 1;
  }

  /** Compares the answer of the next command. */
  take(n: number, answer: TestAnswer): void {
    const command = this.commands[n]!;
    switch (command.kind) {
      case 'subscribe':
        this.subscribe(n, command.topics, command.fromStart, answer);
        break;
      case 'unsubscribe': {
        const left = command.topics.filter((topic) => this.unsubscribe(topic));
        // A subscription that was on its way ends with `conflict`, and is named nevertheless.
        const others = (answer['topics'] as string[]).filter((topic) => !left.includes(topic));
        assert.deepEqual(
          (answer['topics'] as string[]).filter((topic) => left.includes(topic)).sort(),
          [...left].sort(),
          `${n}: unsubscribed`,
        );
        for (const topic of others) assert.ok(this.wasCancelled(n, topic), `${n}: ${topic} was on its way`);
        break;
      }
      case 'publish':
        this.publish(n, command.topic, answer);
        break;
      case 'history':
        this.history(n, command.topic, answer);
        break;
      case 'missed':
        this.missed(n, answer);
        break;
      case 'refresh':
        assert.equal(answer.ok, true, `${n}: refreshed`);
        this.roles = command.roles;
        if (!this.allows('reader')) for (const topic of [...this.subscribed]) this.unsubscribe(topic);
        break;
    }
  }

  /** Compares the messages that the client got on a topic: those of each subscription in order, without holes. */
  checkMessages(topic: string, sequences: readonly number[]): void {
    const intervals = this.intervals.get(topic) ?? [];
    // Of a subscription that has ended, the last messages may not have been sent: each may be the one of a message.
    const fits = (n: number, at: number, next: number): boolean => {
      const sequence = sequences[n];
      if (sequence === undefined) return true;
      const interval = intervals[at];
      if (interval === undefined) return false;
      const isIts = sequence === next && sequence <= (interval.end ?? Infinity);
      return (isIts && fits(n + 1, at, next + 1)) || fits(n, at + 1, (intervals[at + 1]?.start ?? 0) + 1);
    };
    const isRight = fits(0, 0, (intervals[0]?.start ?? 0) + 1);
    assert.ok(isRight, `${topic}: ${sequences.join()} does not fit ${JSON.stringify(intervals)}`);
    assert.ok(
      this.hasAll(topic, sequences),
      `${topic}: the newest messages are missing in ${sequences.join()}`,
    );
  }

  /** Whether the newest message has arrived, if the topic is subscribed at the end. */
  hasAll(topic: string, sequences: readonly number[]): boolean {
    const last = this.intervals.get(topic)?.at(-1);
    if (last === undefined || last.end !== undefined || last.start >= this.lengthOf(topic)) return true;
    return sequences.at(-1) === this.lengthOf(topic);
  }

  private subscribe(n: number, topics: readonly string[], fromStart: boolean, answer: TestAnswer): void {
    assert.equal(answer.ok, true, `${n}: subscribe is answered`);
    const positions = new Map((answer['topics'] as Listed[]).map(({ topic, sequence }) => [topic, sequence]));
    const rejected = new Map(
      (answer['rejected'] as { topic: string; error: { code: string } }[]).map(({ topic, error }) => [
        topic,
        error.code,
      ]),
    );
    for (const topic of topics) {
      const sequence = positions.get(topic);
      if (sequence === undefined) {
        if (!this.allows('reader')) assert.equal(rejected.get(topic), 'forbidden', `${n}: ${topic}`);
        else assert.ok(this.isEndedLater(n, topic), `${n}: ${topic} is ${rejected.get(topic)}`);
      } else {
        assert.ok(this.allows('reader'), `${n}: ${topic} is not allowed`);
        // What has just been stored may still be on its way to the replica.
        assert.ok(sequence <= this.lengthOf(topic), `${n}: ${topic} begins behind its end`);
        this.begin(topic, fromStart ? 0 : sequence);
      }
    }
  }

  private begin(topic: string, start: number): void {
    const intervals = this.intervals.get(topic) ?? [];
    this.intervals.set(topic, intervals);
    const last = intervals.at(-1);
    if (this.subscribed.has(topic)) {
      if (start >= last!.start) return;
      last!.end = this.lengthOf(topic);
    }
    this.subscribed.add(topic);
    intervals.push({ start, end: undefined });
  }

  private unsubscribe(topic: string): boolean {
    if (!this.subscribed.delete(topic)) return false;
    this.intervals.get(topic)!.at(-1)!.end = this.lengthOf(topic);
    return true;
  }

  private publish(n: number, topic: string, answer: TestAnswer): void {
    if (!answer.ok) {
      // One that has not been stored yet is refused too when the rights end.
      assert.equal(answer.error?.code, 'forbidden', `${n}: publish`);
      assert.ok(!this.allows('writer') || this.losesLater(n, 'writer'), `${n}: publish is allowed`);
      return;
    }
    assert.ok(this.allows('writer'), `${n}: publish is not allowed`);
    const sequence = this.lengthOf(topic) + 1;
    this.lengths.set(topic, sequence);
    assert.equal(answer.sequence, sequence, `${n}: the sequence on ${topic}`);
  }

  private history(n: number, topic: string, answer: TestAnswer): void {
    assert.equal(answer.ok ? undefined : answer.error?.code, this.allows('reader') ? undefined : 'forbidden');
    if (!answer.ok) return;
    const sequences = (answer['messages'] as Listed[]).map(({ sequence }) => sequence);
    assert.deepEqual(sequences, upTo(1, this.lengthOf(topic)), `${n}: the history of ${topic}`);
    assert.equal(answer.sequence, this.lengthOf(topic), `${n}: the end of ${topic}`);
  }

  private missed(n: number, answer: TestAnswer): void {
    assert.equal(answer.ok, true, `${n}: missed is answered`);
    const topics = this.allows('reader') ? this.topics : [];
    const expected = topics.map((topic) => [topic, upTo(2, this.lengthOf(topic))]);
    const messages = answer['messages'] as Listed[];
    const found = topics.map((topic) => [
      topic,
      messages.filter((message) => message.topic === topic).map(({ sequence }) => sequence),
    ]);
    assert.deepEqual(found, expected, `${n}: the missed messages`);
    assert.ok(
      messages.every(({ topic }) => topics.includes(topic)),
      `${n}: missed messages of other topics`,
    );
    assert.equal(answer['complete'], true, `${n}: missed is complete`);
  }

  /** Whether a later command ends a subscription to the topic, before anything has looked at it. */
  private isEndedLater(n: number, topic: string): boolean {
    return this.commands
      .slice(n + 1)
      .some(
        (later) =>
          (later.kind === 'unsubscribe' && later.topics.includes(topic)) ||
          (later.kind === 'refresh' && !later.roles.includes('reader')),
      );
  }

  /** Whether an earlier command may have been subscribing to the topic. */
  private wasCancelled(n: number, topic: string): boolean {
    return this.commands
      .slice(0, n)
      .some((earlier) => earlier.kind === 'subscribe' && earlier.topics.includes(topic));
  }

  private losesLater(n: number, role: OrderRole): boolean {
    return this.commands
      .slice(n + 1)
      .some((later) => later.kind === 'refresh' && !later.roles.includes(role));
  }

  private allows(role: OrderRole): boolean {
    return this.roles.includes(role);
  }
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}
