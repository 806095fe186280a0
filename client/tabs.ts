import { Connection, type ConnectionFactory } from './connection.js';
import { tabsBrowser } from './tabs/browser.js';
import { TabConnection } from './tabs/tab-connection.js';

export interface SharedConnectionOptions {
  /** Address of `realtime-communication/client/tabs-worker.js`. Without it, one of the tabs holds the connection. */
  readonly worker?: string | { readonly href: string };
  /** Clients with different names do not share, also within one page. */
  readonly name?: string;
}

/**
 * One connection for all tabs of a user: `createClient({ …, connection: sharedConnection() })`. Where a browser has no Web
 * Locks (a page without https), each tab has a connection of its own.
 */
export function sharedConnection({ worker, name = '' }: SharedConnectionOptions = {}): ConnectionFactory {
  return (dependencies, settings) => {
    const browser = tabsBrowser(typeof worker === 'object' ? worker.href : worker);
    return browser === undefined
      ? new Connection(dependencies, settings)
      : new TabConnection(dependencies, settings, browser, name);
  };
}
