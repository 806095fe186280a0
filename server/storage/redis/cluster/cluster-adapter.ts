import type { Log } from '../../../logging/log.js';
import { withTimeout } from '../../../primitives/with-timeout.js';
import type { RedisStore } from '../redis-store.js';
import { unknownCount, type SocketIoClients } from '../socket-io-clients.js';

type Listener = (message: Buffer, channel: string) => void;

/**
 * The clients for the sharded adapter of `@socket.io/redis-adapter`, over the links to the nodes of a Redis Cluster:
 * each channel is at the node that has the slot of its name. As {@link AdapterClients} they never reject.
 */
export class ClusterAdapterClients implements SocketIoClients {
  readonly isSharded = true;
  failures = 0;
  readonly isDenied = false;
  readonly publisher: object;
  readonly subscriber: object;

  constructor(
    private readonly dependencies: { readonly log: Log; readonly link: RedisStore },
    private readonly settings: { readonly answerLimitMs: number },
  ) {
    const { link } = dependencies;
    this.publisher = {
      // The adapter knows a client of node-redis by this name.
      sSubscribe: () => {},
      sPublish: (channel: string, message: string | Buffer) =>
        link.call(['SPUBLISH', channel, message]).catch((error: unknown) => {
          this.failed('publish', error);
          return 0;
        }),
      sendCommand: (args: string[]) => this.command(args),
    };
    this.subscriber = {
      sSubscribe: (channel: string, listener: Listener) => {
        // One that fails is made when the node is there.
        link
          .subscribe(channel, (message) => listener(message, channel), 'slot')
          .catch((error: unknown) => this.failed('subscribe', error));
      },
      sUnsubscribe: (channel: string) => link.unsubscribe(channel),
    };
  }

  start(): void {
    // The links are started by their owner.
  }

  async close(): Promise<void> {}

  private command(args: string[]): Promise<unknown> {
    return withTimeout(this.dependencies.link.call(args), this.settings.answerLimitMs).catch(
      (error: unknown) => {
        this.failed('command', error);
        return unknownCount;
      },
    );
  }

  private failed(what: string, error: unknown): void {
    this.failures++;
    this.dependencies.log.debug('Adapter command failed', {
      what,
      error: error instanceof Error ? error.message : error,
    });
  }
}
