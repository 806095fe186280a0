import { setTimeout as sleep } from 'node:timers/promises';
import { flood, inParallel, openWebSocket, repeated, type Attack, type AttackContext } from '../attack.js';
import { attackFrame, opcodes, upgradeRequest, RawClient } from '../raw-client.js';
import { pollingBody, pollingFlood } from '../requests.js';

const join = ({ token }: AttackContext) => `40${JSON.stringify({ token })}`;
const parts = Array.from({ length: 10 }, (_, num) => ({ _placeholder: true, num }));
const tenParts = (topic: string) => `4510-["publish",${JSON.stringify({ topic, payload: parts })}]`;

/** Packets that cost work before, or instead of, a command. */
export const packets: readonly Attack[] = [
  {
    name: 'connects',
    what: 'CONNECT packets: refused ones, or valid ones with DISCONNECT after each',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        chunk: repeated(
          500,
          attackFrame(join(context)),
          ...(context.attacker === 'user' ? [attackFrame('41')] : []),
        ),
      }),
  },
  {
    name: 'connects-namespaces',
    what: 'CONNECT packets to namespaces that do not exist',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: context.attacker === 'user',
        chunk: (round) =>
          Buffer.concat(Array.from({ length: 1000 }, (_, n) => attackFrame(`40/n${round}-${n},`))),
      }),
  },
  {
    name: 'connects-post',
    what: '20,000 CONNECT packets in one POST',
    as: ['nobody', 'user'],
    run: (context) => pollingFlood(context, { joins: false, body: pollingBody(20_000, join(context)) }),
  },
  {
    name: 'unknown-commands',
    what: 'commands that do not exist, answers unread',
    as: ['nobody', 'user'],
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: context.attacker === 'user',
        chunk: repeated(2000, attackFrame('42["x",1]'), attackFrame('421["y",{}]')),
      }),
  },
  {
    name: 'unknown-commands-post',
    what: '1 MB of commands that do not exist in one POST',
    as: ['nobody', 'user'],
    run: (context) =>
      pollingFlood(context, {
        joins: context.attacker === 'user',
        body: pollingBody(90_000, '42["x",1]'),
      }),
  },
  {
    name: 'unknown-types-ws',
    what: 'frames of unknown types on /ws, answers unread',
    as: ['user'],
    run: (context) =>
      flood(context, { wire: 'json', chunk: repeated(2000, attackFrame('{"type":"X","id":1}')) }),
  },
  {
    name: 'malformed',
    what: 'packets that cannot be read; frames on /ws that are not JSON',
    as: ['nobody', 'user'],
    run: (context) =>
      context.attacker === 'user'
        ? flood(context, { wire: 'json', chunk: repeated(2000, attackFrame('{"type":[[[[')) })
        : flood(context, { wire: 'socketio', chunk: repeated(10, attackFrame('4x{"[')), connections: 8 }),
  },
  {
    name: 'early-frames',
    what: 'commands before joining; on /ws, frames in one piece with the upgrade',
    as: ['nobody', 'user'],
    run: earlyFrames,
  },
  {
    name: 'attachments',
    what: 'events of ten binary parts, nine of 990 KB sent',
    as: ['nobody', 'user'],
    run: (context) => unfinished(context, Buffer.alloc(990_000, 1), 30),
  },
  {
    name: 'attachments-slow',
    what: 'events of ten binary parts, a part of one byte each second',
    as: ['nobody', 'user'],
    run: (context) => unfinished(context, Buffer.alloc(1), 300, 1000),
  },
  {
    name: 'frames-unfinished',
    what: '300 frames of 990 KB, before joining of 250 KB, without their last byte',
    as: ['nobody', 'user'],
    run: (context) => {
      const frame = attackFrame('x'.repeat(context.attacker === 'user' ? 990_000 : 250_000)).subarray(0, -1);
      return holdOpen(context, 300, async (client) => {
        context.counts.sentBytes += frame.length;
        await client.sendAll(frame);
      });
    },
  },
  {
    name: 'fragments',
    what: 'messages in 16,000 fragments of one byte, never finished',
    as: ['nobody', 'user'],
    run: (context) =>
      holdOpen(context, 60, async (client) => {
        client.send(attackFrame('4', opcodes.text, false));
        await client.sendAll(repeated(16_000, attackFrame('a', opcodes.continuation, false)));
      }),
  },
];

/** Opens WebSockets, begins something on each, and keeps it unfinished; one that is closed is opened again. */
async function holdOpen(
  context: AttackContext,
  connections: number,
  begin: (client: RawClient) => Promise<void>,
): Promise<void> {
  await inParallel(connections, async () => {
    while (Date.now() < context.endsAt) {
      const client = await openWebSocket(context, {
        wire: 'socketio',
        joins: context.attacker === 'user',
      });
      if (client === undefined) continue;
      await begin(client);
      await client.until(() => Date.now() >= context.endsAt, 60_000);
      if (client.isClosed) context.counts.closed++;
      client.destroy();
    }
  });
}

function unfinished(context: AttackContext, part: Buffer, connections: number, pauseMs = 0): Promise<void> {
  return holdOpen(context, connections, async (client) => {
    client.send(attackFrame(tenParts('a')));
    for (let n = 0; n < 9 && !client.isClosed && Date.now() < context.endsAt; n++) {
      context.counts.sentBytes += part.length;
      await client.sendAll(attackFrame(part, opcodes.binary));
      if (pauseMs > 0) await sleep(pauseMs);
    }
  });
}

async function earlyFrames(context: AttackContext): Promise<void> {
  if (context.attacker === 'nobody')
    return flood(context, {
      wire: 'socketio',
      chunk: repeated(100, attackFrame('420["publish",{"topic":"a","payload":1}]')),
      connections: 8,
    });
  // Refused, because what is stored would be counted as a growth.
  const frame = attackFrame(JSON.stringify({ type: 'Ping', data: { unknown: 'x'.repeat(60_000) } }));
  await inParallel(20, async () => {
    while (Date.now() < context.endsAt) {
      const client = await RawClient.open(context.target);
      if (client === undefined) continue;
      const piece = repeated(50, frame);
      client.send(Buffer.concat([Buffer.from(upgradeRequest(`/ws?token=${context.token}`)), piece]));
      context.counts.opened++;
      context.counts.sentBytes += piece.length;
      await client.until(() => Date.now() >= context.endsAt, 500);
      client.destroy();
    }
  });
}
