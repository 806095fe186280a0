import { setTimeout as sleep } from 'node:timers/promises';
import { DeployedClient, type DeployedWire } from '../../bench/reload/deployed-client.js';
import { SteadyPublisher } from './clients.js';
import type { Closing } from './closing.js';
import { tokenOf } from './replica.js';
import { until } from './wait.js';

interface CrowdSize {
  readonly clients: number;
  /** In turn. */
  readonly wires: readonly DeployedWire[];
  readonly publishers: number;
  /** Of a publisher, between an answer and its next message. */
  readonly pauseMs?: number;
}

const topic = 'news';

/** Who uses a service while it is deployed: subscribers of a topic, of whom every fifth gives no positions, and publishers. */
export class DeployedCrowd {
  private isOver = false;
  private publishing: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly clients: readonly DeployedClient[],
    readonly publishers: readonly SteadyPublisher[],
  ) {}

  /** Resolves when all are subscribed, and publishing has begun. */
  static async start(url: string, size: CrowdSize, closing: Closing): Promise<DeployedCrowd> {
    const { wires, pauseMs = 25 } = size;
    const clients = Array.from(
      { length: size.clients },
      (_, n) =>
        new DeployedClient(url, n, wires[n % wires.length]!, topic, tokenOf(`user-${n}`), n % 5 !== 0),
    );
    closing.add(async () => {
      for (const client of clients) client.stop();
    });
    const publishers: SteadyPublisher[] = [];
    const crowd = new DeployedCrowd(clients, publishers);
    await crowd.isBack();
    for (let n = 0; n < size.publishers; n++)
      publishers.push(new SteadyPublisher([url], `publisher-${n}`, topic));
    closing.add(async () => {
      for (const publisher of publishers) publisher.close();
    });
    crowd.publishing = Promise.all(publishers.map((publisher) => crowd.publish(publisher, pauseMs)));
    return crowd;
  }

  /** Resolves when every client is subscribed. */
  async isBack(limitMs = 40_000): Promise<void> {
    const { clients } = this;
    await until(() => clients.every(({ isReady }) => isReady), 'all are subscribed', limitMs).catch(
      (error: Error) => {
        const absent = clients.flatMap(({ isReady, wire }, n) => (isReady ? [] : [`${n} ${wire}`]));
        throw new Error(`${error.message}: not ${absent.join()}`);
      },
    );
  }

  /** Resolves when every client is back, and each publisher has published once more: the clients without positions begin anew. */
  async finish(limitMs?: number): Promise<void> {
    await this.isBack(limitMs);
    this.isOver = true;
    await this.publishing;
  }

  private async publish(publisher: SteadyPublisher, pauseMs: number): Promise<void> {
    for (let n = 1, isLast = false; !isLast; n++) {
      isLast = this.isOver;
      await publisher.publish(n, n);
      await sleep(pauseMs);
    }
  }
}
