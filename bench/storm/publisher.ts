import { tokenFor } from '../processes.js';
import { need } from '../chaos/processes/wait.js';
import { RawConnection } from '../raw-connection.js';
import { topicName } from './topics.js';

/** Publishes numbers, one message to each topic in turn. Its connection is not cut. */
export class StormPublisher extends RawConnection {
  /** Milliseconds from a publish to its acknowledgement, since {@link takeDelays}. */
  private delays: number[] = [];
  private readonly sentAt = new Map<number, number>();
  /** By number of the topic: the number of its last message. */
  private readonly numbers: number[];
  private sent = 0;
  private timer: NodeJS.Timeout | undefined;
  private isJoined = false;
  private problem: string | undefined;

  private constructor(topics: number) {
    super();
    this.numbers = Array.from({ length: topics }, () => 0);
  }

  static async connect(port: number, topics: number): Promise<StormPublisher> {
    const publisher = new StormPublisher(topics);
    const socket = publisher.open(port, '/socket.io/?EIO=4&transport=websocket');
    socket.on('error', () => {});
    socket.on('close', () => (publisher.problem ??= 'its connection has ended'));
    await publisher.until(() => publisher.isJoined, 'the publisher has joined');
    return publisher;
  }

  /** Publishes some messages to each topic, and resolves when they are acknowledged. */
  async fill(perTopic: number): Promise<void> {
    for (let n = 0; n < perTopic * this.numbers.length; n++) {
      this.publish();
      if (n % 100 === 99) await this.settled();
    }
    await this.settled();
  }

  start(perSec: number): void {
    const startedAt = performance.now();
    const before = this.sent;
    this.timer = setInterval(() => {
      const due = before + Math.floor(((performance.now() - startedAt) / 1000) * perSec);
      while (this.sent < due) this.publish();
    }, 5);
  }

  /** Publishes no more; resolves when everything is acknowledged. */
  async finish(): Promise<void> {
    clearInterval(this.timer);
    await this.settled();
  }

  /** The number of the last message of each topic, acknowledged or not. */
  lastNumbers(): readonly number[] {
    return [...this.numbers];
  }

  /** Messages so far. */
  get count(): number {
    return this.sent;
  }

  /** How long publishes took, since the last call. */
  takeDelays(): readonly number[] {
    const { delays } = this;
    this.delays = [];
    return delays;
  }

  close(): void {
    clearInterval(this.timer);
    this.socket?.destroy();
  }

  protected onOpen(): void {}

  protected onRefused(response: string): void {
    this.problem = response.slice(0, 300);
  }

  protected onFrame(chunk: Buffer, start: number, end: number): void {
    const text = chunk.toString('utf8', start, end);
    if (text.startsWith('0')) this.send(`40${JSON.stringify({ token: tokenFor('publisher', ['user']) })}`);
    else if (text.startsWith('2')) this.send('3');
    else if (text.startsWith('40')) this.isJoined = true;
    else if (text.startsWith('43')) this.onAnswer(text);
  }

  private onAnswer(text: string): void {
    const id = parseInt(text.slice(2), 10);
    if (!text.includes('"ok":true')) this.problem = `a message was refused: ${text.slice(0, 300)}`;
    this.delays.push(performance.now() - this.sentAt.get(id)!);
    this.sentAt.delete(id);
  }

  private publish(): void {
    const id = this.sent++;
    const topic = id % this.numbers.length;
    const n = ++this.numbers[topic]!;
    this.sentAt.set(id, performance.now());
    this.send(`42${id}["publish",{"topic":"${topicName(topic)}","payload":{"n":${n}}}]`);
  }

  private settled(): Promise<void> {
    return this.until(() => this.sentAt.size === 0, 'all messages are acknowledged');
  }

  private async until(condition: () => boolean, what: string): Promise<void> {
    await need(() => this.problem !== undefined || condition(), what, 30_000);
    if (this.problem !== undefined) throw new Error(`the publisher cannot go on: ${this.problem}`);
  }
}
