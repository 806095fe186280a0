import { setTimeout as sleep } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadSettings, Service } from '../../server/index.js';
import { freePort } from '../free-port.js';
import { secret, tokenFor } from '../processes.js';
import { MemoryClient } from './memory-client.js';

/** What a route of `/admin` has answered. */
export interface AdminAnswer {
  /** With its query. */
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  /** The longest of the times, from the request to the end of the answer, in milliseconds. */
  readonly slowestMs: number;
  /** Processor time of one answer, and of reading it: another process does not change it. */
  readonly cpuMs: number;
  /** The longest time in which the event loop did nothing else, in milliseconds. */
  readonly stallMs: number;
}

interface Crowd {
  readonly connections: number;
  readonly topicsOfEach: number;
}

interface Documented {
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: { readonly maximum?: number };
  }[];
}

const clientsAtOnce = 200;
/** Of a document of any length, which is written as a stream. */
const streams = new Set(['/admin/sessions/backup']);

/** A service in this process with very many connections and topics, and everything that its admin API answers. */
export class CrowdedService {
  private constructor(
    private readonly service: Service,
    readonly url: string,
    private readonly names: Readonly<Record<string, string>>,
  ) {}

  static async start({ connections, topicsOfEach }: Crowd): Promise<CrowdedService> {
    const port = await freePort();
    const service = new Service(
      loadSettings({
        JWT_SECRET: secret,
        HOST: '127.0.0.1',
        PORT: String(port),
        LOG_LEVEL: 'error',
        RTC_WEBSOCKET_SLIM_CONNECTIONS: 'on',
        RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '0',
        // Clients in memory answer no pings.
        RTC_WEBSOCKET_HEARTBEAT_INTERVAL_SECS: '600',
        RTC_WEBSOCKET_CLIENT_TIMEOUT_SECS: '1300',
        RTC_LIMITS_ADMIN_REQUESTS: '0',
      }),
    );
    await service.start();
    const url = `http://127.0.0.1:${port}`;
    const tokens = Array.from({ length: 1000 }, (_, n) => tokenFor(`user-${n}`, ['user']));
    // A traced one.
    let message = '';
    let next = 0;
    await Promise.all(
      Array.from({ length: clientsAtOnce }, async () => {
        for (let n = next++; n < connections; n = next++) {
          const client = await MemoryClient.connect(service.http, tokens[n % tokens.length]!);
          const topics = Array.from({ length: topicsOfEach }, (_, t) => `rooms.${n * topicsOfEach + t}`);
          await client.ask({ type: 'Subscribe', data: { topics } }, '"subscribed"');
          if (n % 10 !== 0) continue;
          const data = { topic: topics[0], payload: { n }, trace: n === 0 };
          const answer = await client.ask({ type: 'Broadcast', data, id: 'p' }, '"id":"p"');
          if (n === 0) message = /"data":\{"id":"([0-9a-f-]{36})"/.exec(answer)?.[1] ?? '';
        }
      }),
    );
    const crowded = new CrowdedService(service, url, { message, topic: 'rooms.0', user: 'user-0' });
    const { connections: found } = await crowded.json('/admin/connections?limit=1');
    const [one] = found as { connection_id: string; session_id: string }[];
    const names = { ...crowded.names, connection: one!.connection_id, session: one!.session_id };
    return new CrowdedService(service, url, names);
  }

  close(): Promise<void> {
    return this.service.close();
  }

  async json(path: string): Promise<Readonly<Record<string, unknown>>> {
    return (await (await this.ask(path)).json()) as Readonly<Record<string, unknown>>;
  }

  /** The addresses of all routes that read: as they are; the first page of the whole list; as much as may be asked for. */
  async paths(): Promise<string[]> {
    const document = await this.json('/admin/openapi.json');
    const listed = document['paths'] as Readonly<Record<string, Readonly<Record<string, Documented>>>>;
    return Object.entries(listed).flatMap(([path, { get }]) => {
      if (get === undefined || streams.has(path)) return [];
      const parameters = (get.parameters ?? []).filter((one) => one.in === 'query');
      const needed = parameters.filter(({ required }) => required).map(({ name }) => `${name}=rooms`);
      const has = (name: string) => parameters.find((one) => one.name === name);
      const max = has('limit')?.schema.maximum;
      const forms = [
        [],
        ...(has('cursor') === undefined ? [] : [['cursor=']]),
        ...(max === undefined ? [] : [[`limit=${max}`]]),
        ...(max === undefined || has('cursor') === undefined ? [] : [['cursor=', `limit=${max}`]]),
        ...(has('prefix') === undefined ? [] : [['prefix=rooms.99'], ['prefix=user-']]),
      ];
      return forms.map((form) => {
        const query = [...needed, ...form].join('&');
        return this.named(path) + (query === '' ? '' : `?${query}`);
      });
    });
  }

  /** Asks for a path several times. */
  async answerOf(path: string, times: number): Promise<AdminAnswer> {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    let [bytes, status, slowestMs] = [0, 0, 0];
    const cpu = process.cpuUsage();
    delay.enable();
    for (let n = 0; n < times; n++) {
      // Consoles that ask within a second share an answer.
      if (times > 1 && path === '/admin/overview') await sleep(1100);
      const from = performance.now();
      const response = await this.ask(path);
      bytes = Math.max(bytes, (await response.arrayBuffer()).byteLength);
      slowestMs = Math.max(slowestMs, performance.now() - from);
      ({ status } = response);
    }
    delay.disable();
    const { user, system } = process.cpuUsage(cpu);
    return {
      path,
      status,
      bytes,
      slowestMs,
      cpuMs: (user + system) / 1000 / times,
      stallMs: delay.max / 1e6,
    };
  }

  private ask(path: string): Promise<Response> {
    return fetch(this.url + path, {
      headers: { authorization: `Bearer ${tokenFor('olga', ['admin'])}`, accept: 'application/json' },
    });
  }

  /** A path of the document with names in the place of its parameters. */
  private named(path: string): string {
    const { message = '', topic = '', user = '', connection = '', session = '' } = this.names;
    const ids: Readonly<Record<string, string>> = {
      messages: message,
      users: user,
      connections: connection,
      sessions: session,
    };
    const kind = path.split('/')[2] ?? '';
    return path
      .replace('{id}', ids[kind] ?? '')
      .replace('{topic}', topic)
      .replace('{user}', user);
  }
}
