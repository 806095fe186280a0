import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { connectClient } from '../support/clients.js';
import { TestReplica } from '../support/replica.js';
import { freePort, until } from '../support/wait.js';

type HonestClient = Awaited<ReturnType<typeof connectClient>>;

/** Connections that the service admits: at the end all of them have to be free. */
const slots = 200;
/** Everything that may grow with what is stored is kept small, so that a leak is seen. */
const environment = {
  LOG_LEVEL: 'error',
  RTC_WEBSOCKET_MAX_CONNECTIONS: String(slots),
  RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '0',
  RTC_WEBSOCKET_CONNECT_TIMEOUT_SECS: '2',
  RTC_LIMITS_HTTP_REQUESTS: '0',
  RTC_LIMITS_ABUSE_REFUSALS: '0',
  RTC_TOPICS_HISTORY_SIZE: '10',
  RTC_TOPICS_HISTORY_TTL_SECS: '2',
  RTC_TOPICS_IDEMPOTENCY_WINDOW_SECS: '2',
  RTC_DIRECT_INBOX_SIZE: '10',
  RTC_DIRECT_CONFIRM_TIMEOUT_MS: '20',
  RTC_DIRECT_INBOX_TTL_SECS: '2',
  RTC_SESSIONS_TTL_SECS: '2',
  RTC_ACTOR_SYSTEM_IDLE_SECS: '2',
  RTC_TRACING_RING_SIZE: '100',
  RTC_ADMIN_AUDIT_SIZE: '100',
  RTC_ADMIN_CALL_TIMEOUT_MS: '500',
};

/** A command of a fuzzed client that is not answered within this time counts as not answered. */
export const answerLimitMs = 5000;
/** An answer to an honest client that takes longer than this counts as a hang. The machine may be loaded. */
const hangMs = 10_000;
/** Memory that may be held more after all inputs than before. */
const growthBytes = 32 * 2 ** 20;

/** The service in a process of its own, with an honest client that has to be served throughout. */
export class ServiceUnderFuzz {
  private checkedOutput = 0;
  private bytesBefore = 0;
  /** Connections that were admitted at the last attempt to take every slot. */
  private freeSlots = 0;

  private constructor(
    readonly replica: TestReplica,
    private readonly inspectorPort: number,
    private readonly honest: HonestClient,
  ) {}

  /** @param limits environment variables of settings that differ from those of other fuzzers */
  static async start(limits: Readonly<Record<string, string>> = {}): Promise<ServiceUnderFuzz> {
    const inspectorPort = await freePort();
    const replica = await TestReplica.start({
      ...environment,
      ...limits,
      NODE_OPTIONS: `--inspect=127.0.0.1:${inspectorPort}`,
    });
    const service = new ServiceUnderFuzz(replica, inspectorPort, await connectClient(replica.url, 'honest'));
    // Code that runs for the first time takes memory too.
    for (let n = 0; n < 200; n++) await service.askHonestly();
    return service;
  }

  get port(): number {
    return this.replica.port;
  }

  /** To be called after some inputs: what is held by then is normal. */
  async noteMemory(): Promise<void> {
    this.bytesBefore = await this.heldBytes();
  }

  /** After an input: the honest client is answered, and nothing in the log tells of a bug. */
  async check(): Promise<void> {
    await this.askHonestly();
    const output = this.replica.output.slice(this.checkedOutput);
    this.checkedOutput = this.replica.output.length;
    // A refused connection is an error of its operator or of its client.
    const problems = output
      .split('\n')
      .filter((line) => /"level":"ERROR"|^\s+at |Uncaught|Unhandled/.test(line))
      .filter((line) => !line.includes('"message":"Connection refused"'));
    assert.deepEqual(
      problems.map((line) => line.slice(0, 2000)),
      [],
      'the log has errors',
    );
  }

  /** After all inputs: nothing is left of them, and the process ends. */
  async end(): Promise<void> {
    try {
      await this.check();
      await until(async () => (await this.connections()) === 1, 'no connection is left', 30_000);
      await until(() => this.allSlotsAreFree(), 'every connection slot is free', 30_000).catch(
        (error: Error) => {
          throw new Error(`${error.message}: ${this.freeSlots} of ${slots - 1} are`);
        },
      );
      let held = 0;
      await until(
        async () => {
          held = await this.heldBytes();
          return this.bytesBefore === 0 || held < this.bytesBefore + growthBytes;
        },
        'memory is released',
        30_000,
      ).catch((error: Error) => {
        throw new Error(`${error.message}: ${this.bytesBefore} bytes before, ${held} after`);
      });
    } finally {
      this.honest.disconnect();
      assert.equal(await this.replica.end(), 0, 'the exit code');
    }
  }

  private async askHonestly(): Promise<void> {
    const timestamp = Date.now();
    const asked = this.honest.timeout(hangMs).emitWithAck('ping', { timestamp }) as Promise<{ ok: boolean }>;
    const answer = await asked.catch((error: Error) => {
      throw new Error(
        `the honest client is not answered: ${error.message}\n${this.replica.output.slice(-2000)}`,
      );
    });
    // A refusal is an answer too: fuzzed operators set rates and modes.
    assert.equal(typeof answer.ok, 'boolean');
  }

  private async connections(): Promise<number> {
    return (await this.replica.json<{ active_connections: number }>('/metrics')).active_connections;
  }

  /** One slot is held by the honest client. */
  private async allSlotsAreFree(): Promise<boolean> {
    const sockets = await Promise.all(Array.from({ length: slots - 1 }, () => this.upgrade()));
    const admitted = sockets.filter(({ status }) => status === '101');
    const next = await this.upgrade();
    for (const { close } of [...sockets, next]) close();
    this.freeSlots = admitted.length;
    // Until the service has seen that these have gone.
    await sleep(500);
    return admitted.length === slots - 1 && next.status === '503';
  }

  private upgrade(): Promise<{ readonly status: string | undefined; readonly close: () => void }> {
    const socket = connect(this.port, '127.0.0.1');
    socket.write(
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n' +
        'Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
    );
    const close = () => socket.destroy();
    return new Promise((resolve) => {
      socket.on('error', () => resolve({ status: undefined, close }));
      socket.once('data', (data) => resolve({ status: data.toString('latin1', 9, 12), close }));
      socket.once('close', () => resolve({ status: undefined, close }));
    });
  }

  /** What the process holds after its garbage is collected, in bytes. */
  private async heldBytes(): Promise<number> {
    const targets = (await (await fetch(`http://127.0.0.1:${this.inspectorPort}/json`)).json()) as {
      webSocketDebuggerUrl: string;
    }[];
    const inspector = new WebSocket(targets[0]!.webSocketDebuggerUrl);
    await new Promise((resolve) => inspector.once('open', resolve));
    let id = 0;
    const ask = (method: string, params: object = {}) =>
      new Promise<{ result?: { result?: { value?: number } } }>((resolve) => {
        inspector.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()) as object));
        inspector.send(JSON.stringify({ id: ++id, method, params }));
      });
    for (let n = 0; n < 3; n++) await ask('HeapProfiler.collectGarbage');
    const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
    const answer = await ask('Runtime.evaluate', { expression, returnByValue: true });
    inspector.close();
    return answer.result?.result?.value ?? 0;
  }
}

/** Whether an answer of HTTP is one that the service may give: no server error, but for 503 with its wait. */
export function assertAllowedStatus(status: number, headers: string, what: string): void {
  if (status < 500) return;
  assert.equal(status, 503, `${what}: status ${status}`);
  assert.match(headers, /retry-after/i, `${what}: 503 without Retry-After`);
}
