import { setTimeout as sleep } from 'node:timers/promises';
import { enginePath, inParallel, openWebSocket, type Attack, type AttackContext } from '../attack.js';
import { RawClient, upgradeRequest } from '../raw-client.js';
import { openPolling, requestFlood } from '../requests.js';

const asUser = (context: AttackContext): Record<string, string> =>
  context.attacker === 'user' ? { authorization: `Bearer ${context.token}` } : {};

/** Handshakes, uploads and requests. */
export const handshakes: readonly Attack[] = [
  {
    name: 'upgrades-ws',
    what: 'upgrades to /ws, without a token or with a valid one, each broken off',
    as: ['nobody', 'user'],
    run: (context) => upgrades(context, context.attacker === 'nobody' ? '/ws' : `/ws?token=${context.token}`),
  },
  {
    name: 'upgrades-socketio',
    what: 'upgrades to /socket.io, each broken off',
    as: ['nobody'],
    run: (context) => upgrades(context, enginePath),
  },
  {
    name: 'upgrades-reset',
    what: 'upgrades that are reset while they wait',
    as: ['nobody', 'user'],
    run: (context) =>
      inParallel(100, async (n) => {
        while (Date.now() < context.endsAt) {
          const client = await RawClient.open(context.target);
          if (client === undefined) continue;
          client.send(upgradeRequest(n % 2 === 0 ? enginePath : `/ws?token=${context.token}`));
          context.counts.opened++;
          await sleep(n % 10);
          client.reset();
        }
      }),
  },
  {
    name: 'connect-storm',
    what: 'clients that connect, join and leave',
    as: ['nobody', 'user'],
    run: (context) =>
      inParallel(50, async () => {
        while (Date.now() < context.endsAt)
          (await openWebSocket(context, { wire: 'socketio', joins: true }))?.destroy();
      }),
  },
  {
    name: 'polling-abandoned',
    what: 'transports of long-polling that never poll',
    as: ['nobody'],
    run: (context) =>
      requestFlood(context, 50, () => ({ method: 'GET', path: '/socket.io/?EIO=4&transport=polling' })),
  },
  {
    name: 'polling-sid',
    what: 'handshakes of long-polling with a sid in the URL',
    as: ['nobody'],
    run: (context) =>
      requestFlood(context, 50, (round) => ({
        method: 'GET',
        path: `/socket.io/?EIO=4&transport=polling&x=sid=${round}${round % 2 === 0 ? '&sid=' : ''}`,
      })),
  },
  {
    name: 'token-bombs',
    what: 'tokens and addresses that are long and almost tokens',
    as: ['nobody'],
    run: (context) => {
      const bomb = 'eyJ'.repeat(5000);
      return requestFlood(
        context,
        10,
        (round) =>
          [
            { method: 'GET', path: `/ws?token=${bomb}`, headers: {} },
            {
              method: 'POST',
              path: `/admin/x?x=${bomb}`,
              headers: { authorization: `Bearer ${bomb.slice(0, 900)}` },
            },
            {
              method: 'GET',
              path: `/socket.io/${bomb}?EIO=4&transport=polling`,
              headers: { origin: 'https://x' },
            },
            {
              method: 'GET',
              path: `/api/history?topic=${bomb}`,
              headers: { authorization: `Bearer ${bomb.slice(0, 900)}` },
            },
          ][round % 4]!,
      );
    },
  },
  {
    name: 'uploads-unfinished',
    what: '200 bodies of 1 MB to /api that never end; one that is closed is sent again',
    as: ['nobody', 'user'],
    run: (context) => uploads(context, () => Promise.resolve('/api/publish')),
  },
  {
    name: 'uploads-unfinished-polling',
    what: '200 bodies of 1 MB of long-polling that never end',
    as: ['nobody'],
    run: (context) => uploads(context, async () => (await openPolling(context))?.path),
  },
  {
    name: 'slow-loris',
    what: '1,000 connections that send a header byte by byte',
    as: ['nobody'],
    run: (context) =>
      inParallel(1000, async () => {
        while (Date.now() < context.endsAt) {
          const client = await RawClient.open(context.target);
          if (client === undefined) {
            await sleep(50);
            continue;
          }
          context.counts.opened++;
          client.send(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(8000)}`);
          while (!client.isClosed && Date.now() < context.endsAt) {
            client.send('a');
            await sleep(1000);
          }
          client.destroy();
        }
      }),
  },
  {
    name: 'requests',
    what: 'requests to /api, /admin and paths that do not exist, all refused',
    as: ['nobody', 'user'],
    run: (context) =>
      requestFlood(context, 50, (round) => ({
        method: round % 2 === 0 ? 'GET' : 'POST',
        path: ['/admin/connections', '/api/publish', '/nothing', '/admin/emergency-mode'][round % 4]!,
        headers: asUser(context),
      })),
  },
  {
    name: 'metrics',
    what: 'GET /metrics and /health',
    as: ['nobody'],
    run: (context) =>
      requestFlood(context, 20, (round) => ({
        method: 'GET',
        path: ['/metrics', '/health'][round % 2]!,
        headers: { accept: round % 4 < 2 ? 'text/plain' : '*/*' },
      })),
  },
];

function upgrades(context: AttackContext, path: string): Promise<void> {
  return inParallel(50, async () => {
    while (Date.now() < context.endsAt) {
      const client = await RawClient.upgrade(context.target, path);
      if (client === undefined) context.counts.refused++;
      else context.counts.opened++;
      client?.destroy();
    }
  });
}

function uploads(context: AttackContext, pathOf: () => Promise<string | undefined>): Promise<void> {
  const body = 'a'.repeat(990_000);
  const authorization = context.attacker === 'user' ? `Authorization: Bearer ${context.token}\r\n` : '';
  return inParallel(200, async () => {
    while (Date.now() < context.endsAt) {
      const path = await pathOf();
      const client = path === undefined ? undefined : await RawClient.open(context.target);
      if (client === undefined) continue;
      context.counts.opened++;
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: text/plain\r\nContent-Length: 999999\r\n\r\n`;
      await client.sendAll(Buffer.from(`${head}"${body}`), 5000);
      context.counts.sentBytes += body.length;
      await client.until(() => Date.now() >= context.endsAt, 60_000);
      if (client.isClosed) context.counts.closed++;
      client.destroy();
    }
  });
}
