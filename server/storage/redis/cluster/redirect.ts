import { ErrorReply } from 'redis';

/** Why a node has not run a command: nothing was changed. */
export type Redirect =
  | { readonly kind: 'moved' | 'later' }
  /** For this one command, another node has the slot: it is being moved there. */
  | { readonly kind: 'ask'; readonly address: string }
  | { readonly kind: 'down'; readonly reason: string };

/** Reads an error reply of a node of a Redis Cluster; undefined if it is about something else. */
export function readRedirect(error: unknown): Redirect | undefined {
  if (!(error instanceof ErrorReply)) return undefined;
  const [word, , address = ''] = error.message.split(' ', 3);
  switch (word) {
    case 'MOVED':
      return { kind: 'moved' };
    case 'ASK':
      return { kind: 'ask', address };
    case 'TRYAGAIN':
      return { kind: 'later' };
    case 'CLUSTERDOWN':
      return { kind: 'down', reason: error.message };
    default:
      return undefined;
  }
}
