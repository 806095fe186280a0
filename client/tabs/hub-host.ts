import { Connection } from '../connection.js';
import { holdLock, type TabsBrowser } from './browser.js';
import { Hub } from './hub.js';
import type { TabMessage } from './messages.js';

/** Names of ids need not be secret: whoever can see them is of the same site. */
export const newId = (): string => Math.random().toString(36).slice(2);

/** The lock that a tab holds while it is there. */
export const tabLock = (group: string, tab: string): string => `${group}/${tab}`;

/**
 * Waits for its turn, and then holds the connection of a group, until the signal or until another page has taken its place.
 *
 * @param steal takes the place of a holder that does not answer
 */
export function hostHub(
  browser: TabsBrowser,
  group: string,
  signal: AbortSignal,
  { steal, lost }: { readonly steal?: boolean; readonly lost: () => void },
): void {
  const ended = new AbortController();
  const end = () => ended.abort();
  const taken = () => {
    end();
    lost();
  };
  const host = () => {
    const channel = browser.openChannel(group);
    const hub: Hub = new Hub({
      id: newId(),
      say: (message) => channel.postMessage(message),
      connect: (dependencies, settings) => new Connection(dependencies, settings),
      whenGone: (tab, gone) => {
        const { signal } = ended;
        const come = () => Promise.resolve(gone());
        browser.locks.request(tabLock(group, tab), { mode: 'shared', signal }, come).catch(() => {});
      },
    });
    channel.onmessage = ({ data }) => hub.received(data as TabMessage);
    ended.signal.addEventListener('abort', () => {
      hub.end();
      channel.close();
    });
    signal.addEventListener('abort', end);
  };
  // A page without locks has noticed it before.
  holdLock(browser, group, signal, { steal, lost: taken }).then(host, () => {});
}
