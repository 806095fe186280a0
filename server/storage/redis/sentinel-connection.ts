import { createClient } from 'redis';
import type { SentinelAddress } from '../../config/redis-address.js';
import type { RedisHost } from '../../config/redis-url.js';
import { withTimeout } from '../../primitives/with-timeout.js';
import { destroy, type RedisClient } from './redis-client.js';
import type { RedisTls } from './redis-tls.js';

/** What a Sentinel says of the primary. */
export interface SentinelAnswer extends RedisHost {
  /** Grows with every failover. A Sentinel that was away, or is on the wrong side of a split, has a smaller one. */
  readonly configEpoch: number;
}

interface SentinelConnectionSettings {
  readonly address: SentinelAddress;
  readonly masterName: string;
  readonly tls: RedisTls | undefined;
  /** An answer is waited for this long, with the time to connect. */
  readonly answerLimitMs: number;
}

/** The connection to one Sentinel. It is kept, and opened again with the next question after a failure. */
export class SentinelConnection {
  private client: RedisClient | undefined;

  constructor(private readonly settings: SentinelConnectionSettings) {}

  get name(): string {
    const { host, port } = this.settings.address;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** Rejects if there is no answer in time, or one that names no primary. */
  async ask(): Promise<SentinelAnswer> {
    try {
      return await withTimeout(this.answer(), this.settings.answerLimitMs);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.client !== undefined) destroy(this.client);
    this.client = undefined;
  }

  private async answer(): Promise<SentinelAnswer> {
    const { masterName } = this.settings;
    this.client ??= this.newClient();
    const { client } = this;
    if (!client.isOpen) await client.connect();
    // The second one knows of a failover a little earlier, while the other replicas of Redis are still being told.
    const [fields, address] = await Promise.all([
      client.sendCommand<string[]>(['SENTINEL', 'MASTER', masterName]),
      client.sendCommand<string[] | null>(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName]),
    ]);
    const [host, port] = address ?? [];
    const configEpoch = Number(fields[fields.indexOf('config-epoch') + 1]);
    if (host === undefined || !Number.isInteger(Number(port)) || !Number.isInteger(configEpoch))
      throw new Error('not the answer of a Sentinel');
    return { host, port: Number(port), configEpoch };
  }

  private newClient(): RedisClient {
    const { address, tls } = this.settings;
    const { host, port, username, password, isTls } = address;
    const client = createClient({
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      RESP: 2,
      commandOptions: { timeout: 0 },
      disableClientInfo: true,
      socket: { host, port, ...(isTls && { tls: true, ...tls }), reconnectStrategy: false },
    });
    // The command in flight, or the attempt to connect, rejects with it.
    client.on('error', () => {});
    return client as RedisClient;
  }
}
