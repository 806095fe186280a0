import type { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { io, type Socket } from 'socket.io-client';

interface Answer {
  readonly ok: boolean;
  readonly sequence?: number;
  readonly epoch?: string;
}

/** A stock client that publishes numbers at a rate, and repeats with the same key what was refused or not answered. */
export class DeployedPublisher {
  /** Sequences of acknowledged messages, by topic. */
  readonly acknowledged = new Map<string, number[]>();
  private readonly socket: Socket;
  private isOver = false;
  private readonly done: Promise<void>;

  constructor(
    url: string,
    private readonly name: string,
    token: string,
    private readonly topics: readonly string[],
    private readonly perSec: number,
    /** Makes its TCP connections. */
    agent?: Agent,
  ) {
    this.socket = io(url, {
      forceNew: true,
      transports: ['websocket'],
      auth: { token },
      // It is passed to Node's `http.request`, which takes an agent.
      ...(agent !== undefined && { agent: agent as unknown as boolean }),
    });
    this.done = this.run();
  }

  /** Publishes no more; resolves when everything is acknowledged. */
  async finish(): Promise<void> {
    this.isOver = true;
    await this.done;
    this.socket.disconnect();
  }

  private async run(): Promise<void> {
    for (let n = 0; !this.isOver; n++) {
      const topic = this.topics[n % this.topics.length]!;
      const startedAt = performance.now();
      const sequence = await this.publish(topic, n);
      this.acknowledged.set(topic, [...(this.acknowledged.get(topic) ?? []), sequence]);
      await sleep(Math.max(0, 1000 / this.perSec - (performance.now() - startedAt)));
    }
  }

  private async publish(topic: string, n: number): Promise<number> {
    const request = { topic, payload: { from: this.name, n, at: Date.now() }, key: `${this.name}-${n}` };
    for (;;) {
      const answer = await (
        this.socket.timeout(3000).emitWithAck('publish', request) as Promise<Answer>
      ).catch(() => undefined);
      if (answer?.ok === true) return answer.sequence!;
      await sleep(100);
    }
  }
}
