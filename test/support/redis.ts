import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aclLine } from '../../server/storage/redis/redis-acl.js';
import { endsWithTests } from './ends-with-tests.js';
import { freePort, until } from './wait.js';

/** Set: the tests get a Redis user with no more rights than `rtc redis acl` gives. */
const aclVariable = process.env['RTC_TEST_REDIS_ACL'];
const aclUser = 'least';
const aclPassword = 'password';
const leastRights = (isCluster: boolean) =>
  aclLine({
    username: aclUser,
    password: aclPassword,
    keyPrefix: 'rtc',
    channelMark: '',
    namespaces: ['/'],
    redisVersion: '7.0',
    isCluster,
  });

/** What comes before the host in the address of a test's Redis. */
export const testCredentials = aclVariable === undefined ? '' : `${aclUser}:${aclPassword}@`;

/** The program of the server: another one, such as `valkey-server`, by a variable. */
export const serverProgram = process.env['RTC_TEST_REDIS_SERVER'] ?? 'redis-server';

/** Persistence of a test's Redis. */
export type Persistence = 'none' | 'aof';

/** Arguments with which replicas of Redis are made, and end, without the usual waits. */
export const promptReplication = [
  '--repl-diskless-sync-delay',
  '0',
  '--repl-ping-replica-period',
  '1',
] as const;

/** The server ended before it was ready, most likely because its port was taken. */
class RedisEndedError extends Error {}

/** A Redis for one test: a free port, its own directory, real signals. */
export class TestRedis {
  private child: ChildProcess | undefined;
  private failure: Error | undefined;
  private isReady = false;

  private constructor(
    readonly port: number,
    private readonly directory: string,
    private readonly persistence: Persistence,
    private readonly more: readonly string[],
  ) {}

  /** `more`: further arguments of the server. */
  static async start(persistence: Persistence = 'none', more: readonly string[] = []): Promise<TestRedis> {
    const directory = mkdtempSync(join(tmpdir(), 'rtc-redis-'));
    for (let attempt = 1; ; attempt++) {
      const redis = new TestRedis(await freePort(), directory, persistence, more);
      try {
        await redis.run();
        return redis;
      } catch (error) {
        // Another process, such as a parallel test file, may have taken the port meanwhile.
        if (!(error instanceof RedisEndedError) || attempt === 5) throw error;
      }
    }
  }

  get url(): string {
    return `redis://${testCredentials}127.0.0.1:${this.port}`;
  }

  /** Starts the server again on the same port, with the data in its directory. */
  async run(): Promise<void> {
    await this.launch(this.more);
    await until(
      async () => {
        if (this.failure !== undefined)
          throw new Error(`${serverProgram} cannot be started: ${this.failure.message}`);
        if (this.child?.exitCode !== null) throw new RedisEndedError('redis-server ended while it started');
        // A server of another process on the port could answer too.
        return this.isReady && (await this.command('PING')) === '+PONG';
      },
      'redis-server answers',
      20_000,
    );
    if (aclVariable !== undefined) await this.command(leastRights(this.more.includes('--cluster-enabled')));
  }

  /** Starts the server with further arguments, without waiting for an answer. */
  async launch(more: readonly string[] = []): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.directory, '--save', ''];
    args.push(
      '--appendonly',
      this.persistence === 'aof' ? 'yes' : 'no',
      '--appendfsync',
      'everysec',
      '--daemonize',
      'no',
    );
    const child = spawn(serverProgram, [...args, ...more], { stdio: ['ignore', 'pipe', 'ignore'] });
    endsWithTests(child);
    this.child = child;
    this.failure = undefined;
    this.isReady = false;
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output = (output + data.toString()).slice(-2000);
      if (output.includes('Ready to accept connections')) this.isReady = true;
    });
    child.once('error', (error) => (this.failure = error));
  }

  /** Sends a signal to the server; with SIGKILL, resolves when it has ended. */
  async signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    child.kill(name);
    if (name !== 'SIGKILL' && name !== 'SIGTERM') return;
    await until(() => child.exitCode !== null || child.signalCode !== null, 'redis-server has ended');
    this.child = undefined;
  }

  /** Sends one inline command. Resolves to the first line of the answer, or to undefined if there is none. */
  async command(line: string): Promise<string | undefined> {
    const answer = await this.ask(line, (text) => text.includes('\r\n'));
    return answer === '' ? undefined : answer.split('\r\n')[0];
  }

  /** Makes this server a replica; resolves when it has the data of the other one. */
  async replicate(primary: TestRedis): Promise<void> {
    await this.command(`REPLICAOF 127.0.0.1 ${primary.port}`);
    await until(
      async () => (await this.replication('master_link_status')) === 'up',
      'it has the data',
      20_000,
    );
  }

  /** Makes a replica a primary. */
  async promote(): Promise<void> {
    await this.command('REPLICAOF NO ONE');
  }

  /** Whether this replica has received everything that its primary has written. */
  async hasAllOf(primary: TestRedis): Promise<boolean> {
    return (
      (await this.replication('slave_repl_offset')) === (await primary.replication('master_repl_offset'))
    );
  }

  /** A line of `INFO replication`. */
  async replication(field: string): Promise<string | undefined> {
    return (await this.info('replication')).get(field);
  }

  /** The lines of a section of `INFO`, by name. */
  async info(section: string): Promise<Map<string, string>> {
    const isWhole = (text: string) => {
      const bytes = /^\$(\d+)\r\n/.exec(text);
      return bytes !== null && text.length >= bytes[0].length + Number(bytes[1]);
    };
    const lines = (await this.ask(`INFO ${section}`, isWhole)).split('\r\n');
    return new Map(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const),
    );
  }

  private ask(line: string, isWhole: (answer: string) => boolean): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(`${line}\r\n`));
      let answer = '';
      socket.setTimeout(5000, () => socket.destroy());
      socket.on('data', (data) => {
        answer += data.toString();
        if (isWhole(answer)) socket.end();
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
    });
  }

  async stop(): Promise<void> {
    await this.signal('SIGCONT');
    await this.signal('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
