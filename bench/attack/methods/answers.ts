import { flood, inParallel, repeated, type Attack, type AttackContext } from '../attack.js';
import { attackFrame, RawClient } from '../raw-client.js';
import { historyTopic, historyTopics, usersTopic } from '../preparation.js';
import { ask, requestFlood } from '../requests.js';

const long = 'i'.repeat(60_000);
const oldest = '00000000-0000-7000-8000-000000000000';

/** Answers that are larger than what asks for them, or that nobody reads. */
export const answers: readonly Attack[] = [
  {
    name: 'history-unread',
    what: 'history commands for 60 MB each, answers unread',
    as: ['user'],
    prepared: 'history',
    run: (context) => commands(context, `["history",{"topic":"${historyTopic}","limit":1000}]`),
  },
  {
    name: 'history-unread-ws',
    what: 'the same on /ws',
    as: ['user'],
    prepared: 'history',
    run: (context) =>
      frames(context, `{"type":"GetHistory","data":{"topic":"${historyTopic}","limit":1000},"id":1}`),
  },
  {
    name: 'history-unread-http',
    what: 'GET /api/history of 60 MB, unread',
    as: ['user'],
    prepared: 'history',
    run: (context) => unreadRequests(context, `GET /api/history?topic=${historyTopic}&limit=1000`),
  },
  {
    name: 'history-http',
    what: 'GET /api/history of 60 MB, read',
    as: ['user'],
    prepared: 'history',
    run: (context) =>
      requestFlood(context, 4, () => ({
        method: 'GET',
        path: `/api/history?topic=${historyTopic}&limit=1000`,
        headers: { authorization: `Bearer ${context.token}` },
      })),
  },
  {
    name: 'missed-unread',
    what: 'missed commands over a topic of 60 MB, answers unread',
    as: ['user'],
    prepared: 'history',
    run: (context) =>
      flood(context, {
        wire: 'socketio',
        joins: true,
        before: [`42["subscribe",{"topics":["${historyTopic}"]}]`],
        chunk: repeated(50, attackFrame(`421["missed",{"since":"${oldest}"}]`)),
        connections: 12,
      }),
  },
  {
    name: 'resume-unread',
    what: 'subscriptions from a position that does not exist, ended at once, unread',
    as: ['user'],
    prepared: 'history',
    run: (context) => resumes(context, 'x'),
  },
  {
    name: 'resume-history-unread',
    what: 'subscriptions from the beginning of 60 MB, ended at once, unread',
    as: ['user'],
    prepared: 'history',
    run: async (context) => {
      await resumes(context, await epochOf(context, historyTopic));
    },
  },
  {
    name: 'sub-since-unread',
    what: 'subscriptions from the beginning of twenty topics of 3 MB each, again and again, unread',
    as: ['user'],
    prepared: 'histories',
    run: async (context) => {
      const since: Record<string, object> = {};
      for (const topic of historyTopics) since[topic] = { epoch: await epochOf(context, topic), sequence: 0 };
      await flood(context, {
        wire: 'socketio',
        joins: true,
        chunk: repeated(
          20,
          attackFrame(`42["subscribe",${JSON.stringify({ topics: historyTopics, since })}]`),
        ),
        connections: 12,
      });
    },
  },
  {
    name: 'presence-unread',
    what: 'presence of a topic with 1,000 users, answers unread',
    as: ['user'],
    prepared: 'users',
    run: (context) => commands(context, `["presence",{"topic":"${usersTopic}"}]`),
  },
  {
    name: 'presence-http',
    what: 'GET /api/presence of a topic with 1,000 users, unread',
    as: ['user'],
    prepared: 'users',
    run: (context) => unreadRequests(context, `GET /api/presence?topic=${usersTopic}`),
  },
  {
    name: 'junk-acks',
    what: 'acknowledgements of nothing; on /ws with ids of 60 KB, answers unread',
    as: ['user'],
    run: async (context) => {
      await Promise.all([
        flood(context, {
          wire: 'json',
          chunk: repeated(
            20,
            attackFrame(JSON.stringify({ type: 'Ack', data: { message_id: 'x' }, id: long })),
          ),
        }),
        flood(context, {
          wire: 'socketio',
          joins: true,
          chunk: repeated(2000, attackFrame('431099511627777[]'), attackFrame('437["x"]')),
          connections: 2,
        }),
      ]);
    },
  },
  {
    name: 'long-ids',
    what: 'pings and refused frames on /ws with ids of 60 KB, answers unread',
    as: ['user'],
    run: (context) =>
      flood(context, {
        wire: 'json',
        chunk: repeated(
          10,
          attackFrame(JSON.stringify({ type: 'Ping', data: {}, id: long })),
          attackFrame(JSON.stringify({ type: 'Subscribe', data: 1, id: long })),
        ),
        connections: 12,
      }),
  },
  {
    name: 'pings-command-unread',
    what: 'ping commands, answers unread',
    as: ['user'],
    run: (context) => commands(context, '["ping",{"timestamp":1}]'),
  },
];

function commands(context: AttackContext, command: string): Promise<void> {
  return flood(context, {
    wire: 'socketio',
    joins: true,
    chunk: repeated(50, attackFrame(`421${command}`)),
    connections: 12,
  });
}

function frames(context: AttackContext, frame: string): Promise<void> {
  return flood(context, { wire: 'json', chunk: repeated(50, attackFrame(frame)), connections: 12 });
}

/** Twelve requests at a time, each given up after a second. */
async function unreadRequests(context: AttackContext, requestLine: string): Promise<void> {
  const request = `${requestLine} HTTP/1.1\r\nHost: service\r\nAuthorization: Bearer ${context.token}\r\n\r\n`;
  await inParallel(12, async () => {
    while (Date.now() < context.endsAt) {
      const client = await RawClient.open(context.target);
      if (client === undefined) continue;
      client.stopReading();
      client.send(request);
      context.counts.opened++;
      context.counts.sentBytes += request.length;
      await client.until(() => Date.now() >= context.endsAt, 1000);
      client.destroy();
    }
  });
}

/** The epoch of a topic that has messages. */
async function epochOf(context: AttackContext, topic: string): Promise<string> {
  const { text } = await ask(context, {
    method: 'GET',
    path: `/api/history?topic=${topic}&limit=1`,
    headers: { authorization: `Bearer ${context.token}` },
  });
  return /"epoch":"([^"]+)"/.exec(text)?.[1] ?? '';
}

async function resumes(context: AttackContext, epoch: string): Promise<void> {
  const since = { [historyTopic]: { epoch, sequence: 0 } };
  await flood(context, {
    wire: 'socketio',
    joins: true,
    chunk: repeated(
      20,
      attackFrame(`42["subscribe",${JSON.stringify({ topics: [historyTopic], since })}]`),
      attackFrame(`42["unsubscribe",{"topics":["${historyTopic}"]}]`),
    ),
    connections: 12,
  });
}
