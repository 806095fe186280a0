import assert from 'node:assert/strict';
import type { BrowserContext, Page } from 'playwright-core';
import { FaultProxy } from '../../bench/chaos/faults/fault-proxy.js';
import { createClient, type Client } from '../../client/index.js';
import { bundle, countOutbox, read, serve } from '../support/browser-pages.js';
import { launchChromium } from '../support/chromium.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const tabs = 6;

/** How the tabs find the one that holds the connection: the query of the page. */
const mechanisms = {
  'one of the tabs': '',
  'a SharedWorker': '?worker=/tabs-worker.js',
  'one of the tabs, because the worker cannot be loaded': '?worker=/missing.js',
};

for (const [holder, query] of Object.entries(mechanisms))
  describe(`[CLIENT] tabs in Chromium whose connection is held by ${holder}`, function () {
    this.timeout(120_000);
    const closing = new Closing();
    let context: BrowserContext;
    let replica: TestReplica;
    let path: FaultProxy;
    let origin: string;
    let publisher: Client;
    let pages: Page[];
    let published = 0;
    /** WebSockets that pages have opened, not workers. */
    let sockets = 0;

    before(async () => {
      const browser = await launchChromium();
      closing.add(() => browser.close());
      replica = await TestReplica.start();
      closing.add(() => replica.end('SIGKILL'));
      path = await FaultProxy.start(replica.port);
      closing.add(() => path.stop());
      origin = await serve(
        closing,
        new Map([
          ['/tab', '<!doctype html><script src="/tab.js"></script>'],
          ['/tab.js', await bundle('test/support/pages/tab.js')],
          ['/tabs-worker.js', read('dist/client/tabs-worker.js')],
          ['/missing.js', 'this is no script'],
        ]),
      );
      publisher = createClient({ url: replica.url, token: tokenOf('publisher') }).connect();
      closing.add(() => Promise.resolve(publisher.close()));
      context = await browser.newContext();
      const settings = JSON.stringify({ url: `http://127.0.0.1:${path.port}`, token: tokenOf('ann') });
      await context.addInitScript(`localStorage.setItem('settings', ${JSON.stringify(settings)})`);
      pages = [];
      for (let n = 0; n < tabs; n++) pages.push(await open());
      await publish(2);
      await showAll();
    });
    after(() => closing.close());

    const evaluate = <Value>(page: Page, expression: string) => page.evaluate(expression) as Promise<Value>;

    async function open(): Promise<Page> {
      const page = await context.newPage();
      page.on('websocket', () => sockets++);
      await page.goto(`${origin}/tab${query}`);
      await until(
        async () => (await evaluate(page, 'window.isSubscribed')) === true,
        'the tab is subscribed',
        20_000,
      );
      return page;
    }

    async function publish(count: number): Promise<void> {
      for (let n = 0; n < count; n++) await publisher.topic('list').publish(++published);
    }

    /** The list of each tab is the log, from its first message on. */
    async function showAll(): Promise<void> {
      const { messages } = await publisher.topic('list').history({ limit: 1000 });
      const log = messages.map(({ sequence, payload }) => [sequence, payload]);
      for (const page of pages) {
        const list = () => evaluate<[number, unknown][]>(page, 'list');
        await until(async () => ((await list()).at(-1)?.[0] ?? 0) >= log.length, 'all arrives', 20_000);
        // What a tab has left may be sent by another one after the log was read.
        const shown = (await list()).filter(([sequence]) => sequence <= log.length);
        assert.deepEqual(shown, log.slice(log.length - shown.length));
      }
    }

    /** Connections of the tabs: all but that of the publisher. */
    const connections = async () =>
      (await replica.json<{ active_connections: number }>('/metrics')).active_connections - 1;
    const haveOne = () => until(async () => (await connections()) === 1, 'one connection', 20_000);
    const isStored = async (payload: unknown) =>
      (await publisher.topic('list').history({ limit: 1000 })).messages.filter(
        (message) => message.payload === payload,
      ).length;

    it('hold one connection, and each has every message in order', async () => {
      assert.equal(await connections(), 1);
      assert.equal(sockets, query.includes('tabs-worker') ? 0 : 1);
      await Promise.all(
        pages.map((page, n) => evaluate(page, `client.topic('list').publish('tab ${n}').then(() => 0)`)),
      );
      await showAll();
    });

    it('lose nothing when the first tab is closed, with a message that is not confirmed', async () => {
      const [first, ...rest] = pages;
      await evaluate(first!, "void client.topic('list').publish('last words')");
      await first!.close();
      pages = rest;
      await publish(3);
      await haveOne();
      await showAll();
      assert.ok((await isStored('last words')) <= 1);
    });

    it('lose nothing when the page that was opened first crashes', async () => {
      const [first, ...rest] = pages;
      const session = await context.newCDPSession(first!);
      const crashed = new Promise((resolve) => first!.once('crash', resolve));
      session.send('Page.crash').catch(() => {});
      await crashed;
      pages = rest;
      await publish(2);
      await haveOne();
      await showAll();
    });

    it('send what a tab has left that was closed while all were offline', async () => {
      path.state.isRefusing = true;
      path.cut();
      const [first, ...rest] = pages;
      await until(async () => (await first!.title()) !== 'connected', 'the tab is offline', 20_000);
      await evaluate(first!, "void client.topic('list').publish('left')");
      await until(async () => (await evaluate(first!, countOutbox)) === 1, 'it is in IndexedDB');
      await first!.close();
      pages = rest;
      path.heal();
      await until(async () => (await isStored('left')) === 1, 'it is published', 40_000);
      await until(async () => (await evaluate(pages[0]!, countOutbox)) === 0, 'the queue is empty', 20_000);
      await publish(1);
      await showAll();
    });

    it('go on when a tab is stopped by the browser, reloaded, or comes out of the back/forward cache', async () => {
      const [first, second, third] = pages;
      const session = await context.newCDPSession(first!);
      await session.send('Page.setWebLifecycleState', { state: 'frozen' });
      await publish(2);
      await second!.reload();
      await third!.goto(`${origin}/other`);
      await publish(2);
      await third!.goBack({ waitUntil: 'commit' });
      await until(async () => (await evaluate(third!, 'window.wasCached')) === true, 'the page was cached');
      await session.send('Page.setWebLifecycleState', { state: 'active' });
      await publish(1);
      await showAll();
      await haveOne();
    });

    it('have a connection of their own where another user is signed in', async () => {
      const page = await context.newPage();
      const settings = JSON.stringify({ url: `http://127.0.0.1:${path.port}`, token: tokenOf('bob') });
      await page.addInitScript(`localStorage.setItem('settings', ${JSON.stringify(settings)})`);
      await page.goto(`${origin}/tab${query}`);
      await until(
        async () => (await evaluate(page, 'window.isSubscribed')) === true,
        'the tab is subscribed',
        20_000,
      );
      assert.equal(await connections(), 2);
      await page.close();
      await haveOne();
    });
  });
