import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page, WebSocket } from 'playwright-core';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { createClient, type Client } from '../../client/index.js';
import { launchChromium } from '../support/chromium.js';
import { bundle, countOutbox, read, serve } from '../support/browser-pages.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { root } from '../support/root.js';
import { until } from '../support/wait.js';

/** What the test reads in the page. */
interface PageWindow {
  readonly list: [number, unknown][];
  readonly wasCached: boolean | undefined;
  readonly client: Client;
}

/** The pages of docs/client.md that have no build, and what they load. */
function withoutBuild(url: string): [string, string][] {
  const [, section = ''] = read('docs/client.md').split('\n## Pages without a build\n');
  const pages = [...section.split('\n## ')[0]!.matchAll(/```html\n([^]*?)```/g)].map(([, html = '']) => html);
  assert.equal(pages.length, 2);
  const given = `<!doctype html><script>var url = '${url}', token = '${tokenOf('ann')}';</script>`;
  return [
    ['/vendor/socket.io.esm.min.js', read('node_modules/socket.io-client/dist/socket.io.esm.min.js')],
    ...readdirSync(join(root, 'dist/client'))
      .filter((name) => name === 'browser.js' || name.endsWith('.mjs'))
      .map((name): [string, string] => [`/rtc/${name}`, read(`dist/client/${name}`)]),
    ...pages.map((html, i): [string, string] => [
      `/without-build-${i}`,
      given + html.replace('const client', 'window.client'),
    ]),
  ];
}

describe('[CLIENT] the client library in Chromium', function () {
  this.timeout(120_000);
  const closing = new Closing();
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let origin: string;
  let path: FaultProxy;
  let publisher: Client;
  let published = 0;

  before(async () => {
    browser = await launchChromium();
    closing.add(() => browser.close());
    const replica = await TestReplica.start();
    closing.add(() => replica.end('SIGKILL'));
    path = await FaultProxy.start(replica.port);
    closing.add(() => path.stop());
    origin = await serve(
      closing,
      new Map([
        ['/list', '<!doctype html><script src="/list.js"></script>'],
        ['/list.js', await bundle('test/support/pages/list.js')],
        ['/react-chat/', read('examples/react-chat/index.html')],
        ['/react-chat/chat.js', await bundle('examples/react-chat/chat.js')],
        ['/chat-page/', read('examples/chat-page/index.html')],
        ['/chat-page/browser.js', read('dist/client/browser.js')],
        ...withoutBuild(replica.url),
      ]),
    );
    publisher = createClient({ url: replica.url, token: tokenOf('publisher') }).connect();
    closing.add(() => Promise.resolve(publisher.close()));
    context = await browser.newContext();
    const settings = JSON.stringify({ url: `http://127.0.0.1:${path.port}`, token: tokenOf('ann') });
    page = await context.newPage();
    await page.goto(origin);
    await page.evaluate(`localStorage.setItem('settings', ${JSON.stringify(settings)})`);
    await page.goto(`${origin}/list`);
    // What was published before the first subscription is not part of it.
    await until(() => inPage<boolean>('window.isSubscribed === true'), 'the page has subscribed', 20_000);
    await publish(2);
    await showsAll();
  });
  after(() => closing.close());

  const inPage = <Value>(expression: string) => page.evaluate(expression) as Promise<Value>;

  const isConnected = () =>
    until(async () => (await page.title()) === 'connected', 'the page is connected', 20_000);

  async function publish(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await publisher.topic('list').publish(++published);
  }

  /** The list of the page is the log. */
  async function showsAll(): Promise<void> {
    const { messages, sequence } = await publisher.topic('list').history({ limit: 1000 });
    await until(
      async () => (await inPage<PageWindow['list']>('list')).at(-1)?.[0] === sequence,
      'all arrives',
      20_000,
    );
    assert.deepEqual(
      await inPage<PageWindow['list']>('list'),
      messages.map((message) => [message.sequence, message.payload]),
    );
  }

  /** How often the service has stored a payload. */
  async function stored(payload: unknown): Promise<number> {
    const { messages } = await publisher.topic('list').history({ limit: 1000 });
    return messages.filter((message) => message.payload === payload).length;
  }

  async function goOffline(): Promise<void> {
    path.state.isRefusing = true;
    path.cut();
    await until(async () => (await page.title()) !== 'connected', 'the page is offline');
  }

  it('has everything in order, and publishes once, when the page was offline', async () => {
    await goOffline();
    await publish(3);
    await inPage("void client.topic('list').publish('from the page')");
    path.heal();
    await isConnected();
    await until(async () => (await stored('from the page')) === 1, 'the queued message', 20_000);
    await showsAll();
  });

  it('has everything in order when the page was reloaded', async () => {
    const reloaded = page.reload();
    await publish(3);
    await reloaded;
    await isConnected();
    await publish(1);
    await showsAll();
  });

  it('publishes what waited when it was closed, once, after it was opened again', async () => {
    await goOffline();
    await inPage("void client.topic('list').publish('from a closed page')");
    await until(async () => (await inPage<number>(countOutbox)) === 1, 'it is in IndexedDB');
    await page.close();
    await publish(2);
    path.heal();
    page = await context.newPage();
    await page.goto(`${origin}/list`);
    await isConnected();
    await until(async () => (await stored('from a closed page')) === 1, 'the queued message', 20_000);
    await until(async () => (await inPage<number>(countOutbox)) === 0, 'the queue is empty');
    await page.reload();
    await isConnected();
    await publish(1);
    await showsAll();
    assert.equal(await stored('from a closed page'), 1);
  });

  it('has everything in order when the page comes out of the back/forward cache', async () => {
    await page.goto(`${origin}/other`);
    await publish(3);
    await page.goBack({ waitUntil: 'commit' });
    await until(async () => (await inPage('window.wasCached')) === true, 'the page was cached');
    await isConnected();
    await publish(1);
    await showsAll();
  });

  for (const [event, target] of [
    ['online', 'window'],
    ['visibilitychange', 'document'],
    ['resume', 'document'],
  ])
    it(`replaces a dead connection at ${event}, long before a heartbeat is missing`, async () => {
      path.state.isHeld = true;
      await inPage(`${target}.dispatchEvent(new Event('${event}'))`);
      await until(async () => (await page.title()) !== 'connected', 'the probe is not answered');
      await publish(2);
      path.heal();
      await isConnected();
      await showsAll();
    });

  const addressOf = (example: string) =>
    `${origin}/${example}/?${String(new URLSearchParams({ url: `http://127.0.0.1:${path.port}`, token: tokenOf('ann') }))}`;

  it('opens one socket in React StrictMode, shows messages and users, and closes it with the last component', async () => {
    const chat = await context.newPage();
    const sockets: WebSocket[] = [];
    chat.on('websocket', (socket) => sockets.push(socket));
    await publisher.topic('chat').publish({ text: 'before' });
    await chat.goto(addressOf('react-chat'));
    await chat.getByText('before').waitFor();
    await chat.getByRole('button').click();
    await chat.getByText('from React').waitFor();
    publisher.topic('chat').subscribe();
    await until(
      async () => (await chat.locator('#users').textContent()) === 'ann publisher',
      'both are there',
    );
    assert.equal(await chat.locator('#state').textContent(), 'connected');
    assert.deepEqual(await chat.locator('li').allTextContents(), ['before', 'from React']);
    assert.equal(sockets.length, 1);
    await chat.evaluate('leave()');
    await until(() => sockets[0]!.isClosed(), 'the socket is closed');
    assert.equal(sockets.length, 1);
    await chat.close();
  });

  it('works in a page without a build', async () => {
    const chat = await context.newPage();
    await chat.goto(addressOf('chat-page'));
    await chat.getByRole('textbox').fill('from a page');
    await chat.getByRole('button').click();
    await chat.getByText('from a page').waitFor();
    assert.equal(await chat.locator('#state').textContent(), 'connected');
    await chat.close();
  });

  for (const [i, how] of ['a script tag', 'modules and an import map'].entries())
    it(`works with ${how}, as its documentation says`, async () => {
      const other = await context.newPage();
      await other.goto(`${origin}/without-build-${i}`);
      await until(
        async () => (await other.evaluate('window.client?.state.state')) === 'connected',
        'the page is connected',
      );
      await other.evaluate(`client.topic('built').publish('by nobody')`);
      await other.close();
    });
});
