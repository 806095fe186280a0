import { setTimeout as sleep } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import type { Door } from './clients/client.js';
import type { OpenWire, Wire, WireAnswer } from './clients/wire.js';
import type { StoredMessage } from './history/event.js';
import { chaosSecret } from './processes/replica.js';

interface Page {
  readonly messages: readonly (Omit<StoredMessage, 'body'> & {
    readonly payload: { readonly body: string };
  })[];
  readonly epoch: string;
  readonly sequence: number;
  readonly next?: object;
}

const retryMs = 200;
const limitMs = 20_000;

/** Asks a replica, as any client does, with repetitions; undefined if it does not answer in time. */
async function ask(
  openWire: OpenWire,
  door: Door,
  command: string,
  request: Record<string, unknown>,
): Promise<WireAnswer | undefined> {
  const token = jwt.sign({ sub: 'reader', roles: ['user'], iat: 1_700_000_000 }, chaosSecret);
  const endsAt = performance.now() + limitMs;
  while (performance.now() < endsAt) {
    let wire: Wire | undefined;
    const isOpen = await new Promise<boolean>((resolve) => {
      wire = openWire(
        'websocket',
        { port: door.port, token },
        { onEvent: (event) => event === 'status' && resolve(true), onEnd: () => resolve(false) },
      );
    });
    const answer = isOpen
      ? await Promise.race([wire!.call(command, request), sleep(5000, undefined)])
      : undefined;
    wire?.abort();
    if (answer?.ok === true) return answer;
    await sleep(retryMs);
  }
  return undefined;
}

/** The whole log of a topic, oldest message first; undefined if it cannot be read. */
export async function readLog(
  openWire: OpenWire,
  door: Door,
  topic: string,
): Promise<{ messages: StoredMessage[]; epoch: string; sequence: number } | undefined> {
  const messages: StoredMessage[] = [];
  let end: Page | undefined;
  let next: object | undefined = {};
  while (next !== undefined) {
    const answer = await ask(openWire, door, 'history', { topic, limit: 1000, ...next });
    if (answer === undefined) return undefined;
    const page = answer as unknown as Page;
    end ??= page;
    messages.unshift(...page.messages.map(({ payload, ...message }) => ({ ...message, body: payload.body })));
    next = page.next;
  }
  return { messages, epoch: end!.epoch, sequence: end!.sequence };
}

/** The users that a replica holds for present on a topic. */
export async function readPresence(
  openWire: OpenWire,
  door: Door,
  topic: string,
): Promise<string[] | undefined> {
  const answer = await ask(openWire, door, 'presence', { topic });
  const users = answer?.['users'] as readonly { user_id: string }[] | undefined;
  return users?.map(({ user_id: user }) => user).sort();
}
