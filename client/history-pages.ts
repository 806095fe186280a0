import type { Message } from '../shared/message.js';
import type { Position } from '../shared/position.js';
import type { ClientError } from './client-error.js';
import type { HistoryPage, HistoryRequest } from './topic-stream.js';

interface HistoryAnswer extends Position {
  readonly messages: Message[];
  readonly complete: boolean;
  readonly next?: { readonly since?: Position; readonly before?: Position };
}

type Request = <Answer>(command: string, body: object) => Promise<Answer>;

const pageLimit = 1000;

/** Reads a page of missed messages, or the newest ones, which may be of several pages. */
export async function readPage(
  request: Request,
  topic: string,
  wanted: HistoryRequest,
): Promise<HistoryPage> {
  const read = async (body: object, limit: number): Promise<HistoryAnswer> => {
    try {
      return await request('history', { topic, ...body, limit: Math.min(limit, pageLimit) });
    } catch (error) {
      // An operator may allow smaller pages only.
      if ((error as ClientError).field !== 'limit') throw error;
      return request('history', { topic, ...body });
    }
  };
  if ('since' in wanted) {
    const page = await read(wanted, pageLimit);
    return { ...page, next: page.next?.since };
  }
  const { last } = wanted;
  const newest = await read({}, last);
  const { messages } = newest;
  for (let { next } = newest; next && messages.length < last;) {
    const page = await read(next, last - messages.length);
    messages.unshift(...page.messages);
    next = page.next;
  }
  return { ...newest, complete: true, next: undefined };
}
