import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killNow, own } from './child.js';
import { freePort } from '../../free-port.js';
import { askRedis } from './redis-server.js';
import { need } from './wait.js';

/** The name of the primary. */
const masterName = 'chaos';
const sentinelCount = 3;

/** Three Sentinels of a run: they watch one Redis and its replicas, and promote one of those when it is down. */
export class Sentinels {
  private readonly directory = mkdtempSync(join(tmpdir(), 'rtc-sentinels-'));
  private readonly children: ChildProcess[] = [];
  private ports: readonly number[] = [];

  private constructor() {}

  /** @param redisPort the primary; its replicas are connected to it already */
  static async start(redisPort: number): Promise<Sentinels> {
    const sentinels = new Sentinels();
    try {
      await sentinels.run(redisPort);
      return sentinels;
    } catch (error) {
      await sentinels.stop();
      throw error;
    }
  }

  /** As the service takes it. */
  get url(): string {
    return `redis+sentinel://${this.ports.map((port) => `127.0.0.1:${port}`).join(',')}/${masterName}`;
  }

  /** The port of the Redis that most of the Sentinels take for the primary. */
  async primaryPort(): Promise<number | undefined> {
    const ports = await Promise.all(
      this.ports.map(async (port) => {
        const answer = await askRedis(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName).catch(
          () => null,
        );
        return answer === null ? undefined : Number((answer as string[])[1]);
      }),
    );
    return ports.find((port) => ports.filter((other) => other === port).length * 2 > sentinelCount);
  }

  async stop(): Promise<void> {
    for (const child of this.children) await killNow(child);
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async run(redisPort: number): Promise<void> {
    const ports: number[] = [];
    for (let n = 0; n < sentinelCount; n++) ports.push(await freePort());
    this.ports = ports;
    for (const port of ports) {
      const file = join(this.directory, `${port}.conf`);
      writeFileSync(
        file,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${this.directory}`,
          `sentinel monitor ${masterName} 127.0.0.1 ${redisPort} 2`,
          `sentinel down-after-milliseconds ${masterName} 2000`,
          `sentinel failover-timeout ${masterName} 6000`,
          '',
        ].join('\n'),
      );
      this.children.push(own(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })));
    }
    await need(async () => {
      const known = await Promise.all(ports.map((port) => this.knownTo(port)));
      return known.every(({ sentinels, replicas }) => sentinels === sentinelCount - 1 && replicas === 1);
    }, 'the Sentinels know each other, and the replica of Redis');
  }

  private async knownTo(port: number): Promise<{ sentinels: number; replicas: number }> {
    const answer = await askRedis(port, 'SENTINEL', 'MASTER', masterName).catch(() => []);
    const fields = answer as string[];
    const field = (name: string) => Number(fields[fields.indexOf(name) + 1]);
    return { sentinels: field('num-other-sentinels'), replicas: field('num-slaves') };
  }
}
