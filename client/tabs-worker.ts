import { tabsBrowser } from './tabs/browser.js';
import { hostHub } from './tabs/hub-host.js';

// The script of the SharedWorker: it holds the connection of the tabs that have started it under the name of their group.
const { name } = globalThis as unknown as { readonly name: string };
const browser = tabsBrowser();
function host(): void {
  // A tab may take its place while it does not answer; it waits for its turn again then.
  if (browser !== undefined) hostHub(browser, name, new AbortController().signal, { lost: host });
}
host();
