import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { isAlive, killNow, own } from './child.js';
import { freePort } from '../../free-port.js';
import { need } from './wait.js';

function newClient(port: number) {
  const client = createClient({
    socket: { port, host: '127.0.0.1', reconnectStrategy: false, connectTimeout: 1000 },
    RESP: 2,
  });
  client.on('error', () => {});
  return client;
}

/** Runs one command on a connection of its own. */
export async function askRedis(port: number, ...words: string[]): Promise<unknown> {
  const client = newClient(port);
  try {
    await client.connect();
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}

/** A Redis of a run: a free port, its own directory, real signals. */
export class RedisServer {
  private child: ChildProcess | undefined;
  private readonly directory = mkdtempSync(join(tmpdir(), 'rtc-chaos-'));

  private constructor(
    readonly port: number,
    private readonly keepsData: boolean,
    private readonly more: readonly string[],
  ) {}

  /**
   * @param keepsData whether its data survive `kill -9`: an append-only file
   * @param more further arguments
   */
  static async start(keepsData: boolean, more: readonly string[] = []): Promise<RedisServer> {
    const redis = new RedisServer(await freePort(), keepsData, more);
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
          // With `everysec` and a busy disk, what was answered stays in the process for up to two seconds, and kill -9 loses it.
          ...['--appendonly', this.keepsData ? 'yes' : 'no', '--appendfsync', 'always'],
          ...['--repl-diskless-sync-delay', '0'],
          ...this.more,
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

  get isRunning(): boolean {
    return isAlive(this.child);
  }

  kill(): Promise<void> {
    return killNow(this.child);
  }

  /** Runs one command on a connection of its own. */
  command(...words: string[]): Promise<unknown> {
    return askRedis(this.port, ...words);
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

  /**
   * Ends the connections of the Sentinels and accepts no new ones; those of others go on. Resolves to what makes it
   * reachable again.
   */
  async hideFromSentinels(): Promise<() => Promise<void>> {
    const client = newClient(this.port);
    await client.connect();
    await client.sendCommand(['CONFIG', 'SET', 'maxclients', '1']);
    for (const line of String(await client.sendCommand(['CLIENT', 'LIST'])).split('\n')) {
      const [, id] = /^id=(\d+) .* name=sentinel-/.exec(line) ?? [];
      if (id !== undefined) await client.sendCommand(['CLIENT', 'KILL', 'ID', id]);
    }
    return async () => {
      await client.sendCommand(['CONFIG', 'SET', 'maxclients', '10000']);
      client.destroy();
    };
  }

  /** Keeps this replica from its primary: what is written there from now on is missing here. */
  async fallBehind(primary: RedisServer): Promise<void> {
    await this.command('CONFIG', 'SET', 'masteruser', 'nobody', 'masterauth', 'wrong');
    await primary.command('CLIENT', 'KILL', 'TYPE', 'replica');
    await need(async () => (await this.info('master_link_status')) === 'down', 'the replica is cut off');
  }

  /** It may follow a primary again. */
  async mayFollow(): Promise<void> {
    await this.command('CONFIG', 'SET', 'masteruser', '', 'masterauth', '');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
