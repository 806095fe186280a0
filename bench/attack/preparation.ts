import { io } from 'socket.io-client';
import jwt from 'jsonwebtoken';

/** A topic with 1,000 messages of 60 KB. */
export const historyTopic = 'history';
/** Twenty topics with 50 such messages each. */
export const historyTopics: readonly string[] = Array.from({ length: 20 }, (_, n) => `history.${n}`);
/** A topic with 1,000 users. */
export const usersTopic = 'users';

/** Of the service under attack; long enough for production. */
export const attackSecret = 'a secret for attacks, at least 32 bytes';

/** A token of role `user`. Tokens of another length of life are different ones. */
export function attackToken(userId: string, expiresIn: '1h' | '2h' = '1h'): string {
  return jwt.sign({ sub: userId, roles: ['user'] }, attackSecret, { expiresIn });
}

/**
 * Connects and joins a stock client. It names an address of its own, as behind a trusted proxy, so that limits
 * of an address do not count it with the attacker.
 */
export async function connectHonest(
  port: number,
  userId: string,
  address = '198.51.100.1',
): Promise<ReturnType<typeof io>> {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    auth: { token: attackToken(userId) },
    extraHeaders: { 'X-Forwarded-For': address },
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('status', () => resolve());
    socket.once('connect_error', reject);
  });
  return socket;
}

/** Data that the service holds before an attack. */
export type Prepared = 'history' | 'histories' | 'users';

/** Puts the data into the service that some attacks ask for. Returns a function that lets go of it. */
export async function prepare(port: number, data: Prepared): Promise<() => void> {
  if (data !== 'users') {
    const topics = data === 'history' ? [historyTopic] : historyTopics;
    const socket = await connectHonest(port, 'writer');
    const payload = 'h'.repeat(60_000);
    for (let done = 0; done < 1000;) {
      const answers = (await Promise.all(
        Array.from({ length: Math.min(20, 1000 - done) }, (_, n) =>
          socket
            .timeout(30_000)
            .emitWithAck('publish', { topic: topics[(done + n) % topics.length], payload }),
        ),
      )) as { ok: boolean }[];
      const stored = answers.filter(({ ok }) => ok).length;
      done += stored;
      // A service with a limit of bytes per second asks to wait.
      if (stored < answers.length) await new Promise((resolve) => setTimeout(resolve, 500));
    }
    socket.disconnect();
    return () => {};
  }
  const sockets: ReturnType<typeof io>[] = [];
  while (sockets.length < 1000) {
    const more = Array.from({ length: 50 }, (_, n) => {
      const number = sockets.length + n;
      return connectHonest(port, `user-${number}`, `203.0.113.${number % 250}`);
    });
    for (const socket of await Promise.all(more)) {
      sockets.push(socket);
      await socket.timeout(30_000).emitWithAck('subscribe', { topics: [usersTopic] });
    }
  }
  return () => sockets.forEach((socket) => socket.disconnect());
}
