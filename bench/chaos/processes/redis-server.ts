import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { isAlive, killNow, own } from './child.js';
import { freePort } from '../../free-port.js';
import { need } from './wait.js';

/** A Redis of a run: a free port, its own directory, real signals. */
export class RedisServer {
  private child: ChildProcess | undefined;
  private readonly directory = mkdtempSync(join(tmpdir(), 'rtc-chaos-'));

  private constructor(
    readonly port: number,
    private readonly keepsData: boolean,
  ) {}

  /** @param keepsData whether its data survive `kill -9`: an append-only file */
  static async start(keepsData: boolean): Promise<RedisServer> {
    const redis = new RedisServer(await freePort(), keepsData);
    await redis.run();
    return redis;
  }

  /** Starts the process, also again: with the data in its directory. */
  async run(): Promise<void> {
    const child = own(
      spawn(
        'redis-server',
        [
          ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.directory, '--save', ''],
          ...['--appendonly', this.keepsData ? 'yes' : 'no', '--appendfsync', 'everysec'],
          ...['--repl-diskless-sync-delay', '0'],
        ],
        { stdio: 'ignore' },
      ),
    );
    this.child = child;
    await need(async () => {
      if (!isAlive(child)) throw new Error('redis-server has ended; is it installed?');
      return (await this.command('PING').catch(() => '')) === 'PONG';
    }, 'Redis answers');
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (isAlive(this.child)) this.child?.kill(name);
  }

  kill(): Promise<void> {
    return killNow(this.child);
  }

  /** Runs one command on a connection of its own. */
  async command(...words: string[]): Promise<unknown> {
    const client = createClient({
      socket: { port: this.port, host: '127.0.0.1', reconnectStrategy: false, connectTimeout: 1000 },
      RESP: 2,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  }

  /** One field of `INFO`. */
  async info(field: string): Promise<string | undefined> {
    const text = String(await this.command('INFO'));
    return new RegExp(`^${field}:(.*)$`, 'm').exec(text)?.[1]?.trim();
  }

  /** Makes it a copy of another one, or, without a port, a primary. Resolves when the copy is up to date. */
  async follow(port: number | undefined): Promise<void> {
    if (port === undefined) {
      await this.command('REPLICAOF', 'NO', 'ONE');
      return;
    }
    await this.command('REPLICAOF', '127.0.0.1', String(port));
    await need(async () => (await this.info('master_link_status')) === 'up', 'Redis follows its primary');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
