/** Plain ws with Redis publish/subscribe: the usual handwritten solution. */
import { createClient } from 'redis';
import { WebSocketServer, type WebSocket } from 'ws';

async function main(): Promise<void> {
  const publisher = createClient({ url: process.env['REDIS_URL']!, commandOptions: { timeout: 0 } });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const topics = new Map<string, Set<WebSocket>>();
  const server = new WebSocketServer({ port: Number(process.env['PORT']), host: '127.0.0.1' }, () =>
    process.send?.('ready'),
  );
  const follow = async (topic: string): Promise<Set<WebSocket>> => {
    const members = topics.get(topic) ?? new Set<WebSocket>();
    if (!topics.has(topic)) {
      topics.set(topic, members);
      await subscriber.subscribe(topic, (message) => {
        for (const member of members) member.send(message);
      });
    }
    return members;
  };
  server.on('connection', (socket) => {
    const onMessage = async (data: Buffer) => {
      const request = JSON.parse(data.toString()) as {
        subscribe?: string[];
        topic: string;
        payload: unknown;
      };
      if (request.subscribe !== undefined)
        for (const topic of request.subscribe) (await follow(topic)).add(socket);
      else
        await publisher.publish(
          request.topic,
          JSON.stringify({
            type: 'Broadcast',
            data: { topic: request.topic, timestamp: Date.now(), payload: request.payload },
          }),
        );
      socket.send('{"a":1}');
    };
    socket.on('message', (data: Buffer) => void onMessage(data));
    socket.on('close', () => {
      for (const members of topics.values()) members.delete(socket);
    });
  });
}

void main();
