import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { createClient, type Client } from '../../client/index.js';
import { bundle, countOutbox, serve } from '../support/browser-pages.js';
import { launchChromium } from '../support/chromium.js';
import { Closing } from '../support/closing.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

interface Shown {
  readonly room: string;
  readonly topics: readonly string[];
  readonly users: readonly string[];
}

describe('[CLIENT] the client library in Chromium, used in odd ways', function () {
  this.timeout(120_000);
  const closing = new Closing();
  let browser: Browser;
  let replica: TestReplica;
  let origin: string;
  let publisher: Client;

  before(async () => {
    browser = await launchChromium();
    closing.add(() => browser.close());
    replica = await TestReplica.start();
    closing.add(() => replica.end('SIGKILL'));
    publisher = createClient({ url: replica.url, token: tokenOf('publisher') }).connect();
    closing.add(() => Promise.resolve(publisher.close()));
    origin = await serve(
      closing,
      new Map([
        ['/list', '<!doctype html><script src="/list.js"></script>'],
        ['/list.js', await bundle('test/support/pages/list.js')],
        ['/rooms', '<!doctype html><div id="app"></div><script src="/rooms.js"></script>'],
        ['/rooms.js', await bundle('test/support/pages/rooms.js')],
      ]),
    );
  });
  after(() => closing.close());

  async function stored(topic: string): Promise<unknown[]> {
    const { messages } = await publisher.topic(topic).history({ limit: 1000 });
    return messages.map(({ payload }) => payload);
  }

  it('goes on with a new outbox when an app deletes it, or the browser does, while the page is open', async () => {
    const context = await browser.newContext();
    const settings = JSON.stringify({ url: replica.url, token: tokenOf('ann') });
    const other = await context.newPage();
    await other.goto(origin);
    await other.evaluate(`localStorage.setItem('settings', ${JSON.stringify(settings)})`);
    const page: Page = await context.newPage();
    const errors: string[] = [];
    page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
    await page.goto(`${origin}/list`);
    await page.evaluate(`client.topic('list').publish('before')`);
    // Nothing is being written: a deletion in the midst of that is an error that the app is told of.
    const isWritten = () =>
      until(async () => (await page.evaluate(countOutbox)) === 0, 'the outbox is empty');
    await isWritten();
    // It succeeds when no page holds the database open any more.
    await other.evaluate(`new Promise((resolve) => {
      indexedDB.deleteDatabase('rtc_outbox').onsuccess = resolve;
    })`);
    await page.evaluate(`client.topic('list').publish('after')`);
    await isWritten();
    const devtools = await context.newCDPSession(page);
    await devtools.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
    await page.evaluate(`client.topic('list').publish('at last')`);
    assert.deepEqual(await stored('list'), ['before', 'after', 'at last']);
    assert.deepEqual(errors, []);
    await context.close();
  });

  it('sends what is published while another page keeps it from its outbox, and reports that', async () => {
    const context = await browser.newContext();
    const settings = JSON.stringify({ url: replica.url, token: tokenOf('ann') });
    await context.addInitScript(`localStorage.setItem('settings', ${JSON.stringify(settings)})`);
    const [busy, page] = [await context.newPage(), await context.newPage()];
    const errors: string[] = [];
    page.on('console', (line) => line.type() === 'error' && errors.push(line.text()));
    for (const [n, one] of [busy, page].entries()) {
      await one.goto(`${origin}/list`);
      await one.evaluate(`client.topic('blocked').publish(${n})`);
    }
    // It lets go of the database when somebody has read its alert.
    const alert = busy.waitForEvent('dialog');
    await busy.evaluate(`void setTimeout(() => alert('hi'))`);
    await alert;
    await page.evaluate(`void indexedDB.deleteDatabase('rtc_outbox')`);
    await page.evaluate(`client.topic('blocked').publish('sent')`);
    assert.deepEqual(await stored('blocked'), [0, 1, 'sent']);
    assert.match(errors.join(), /^store_failed .* no answer within 5000 ms/);
    await (await alert).accept();
    await until(async () => (await page.evaluate(countOutbox)) === 0, 'the outbox is made anew, and empty');
    await page.evaluate(`client.topic('blocked').publish('stored')`);
    assert.deepEqual(await stored('blocked'), [0, 1, 'sent', 'stored']);
    await context.close();
  });

  it('never shows messages or users of the former topic when a component in React changes its topic', async () => {
    for (const room of ['room-a', 'room-b']) {
      await publisher.topic(room).publish(room);
      publisher.topic(room).subscribe();
    }
    const page = await browser.newPage();
    await page.goto(`${origin}/rooms?${new URLSearchParams({ url: replica.url, token: tokenOf('ann') })}`);
    const shown = () => page.evaluate('shown') as Promise<Shown[]>;
    await page.getByText('room-a: 1 messages, 2 users').waitFor();
    await page.evaluate(`enter('room-b')`);
    await page.getByText('room-b: 1 messages, 2 users').waitFor();
    const [first, ...rest] = (await shown()).filter(({ room }) => room === 'room-b');
    assert.deepEqual(first, { room: 'room-b', topics: [], users: [] });
    assert.ok(rest.every(({ topics }) => topics.every((topic) => topic === 'room-b')));
    await page.close();
  });

  it('shows in React why a topic has nothing, until the component has another one', async () => {
    await publisher.topic('room-a').publish('there');
    const page = await browser.newPage();
    await page.goto(`${origin}/rooms?${new URLSearchParams({ url: replica.url, token: tokenOf('ann') })}`);
    await page.getByText(/room-a: [1-9]/).waitFor();
    await page.evaluate(`enter('no topic has blanks')`);
    await page.getByText(/^no topic has blanks: 0 messages, 0 users, \w+$/).waitFor();
    await page.evaluate(`enter('room-a')`);
    await page.getByText(/^room-a: [1-9]\d* messages, [1-9] users$/).waitFor();
    await page.close();
  });

  it('shows neither messages nor users of the former user when the app gives React another client', async () => {
    publisher.topic('room-a').subscribe();
    await publisher.topic('room-a').publish('of ann');
    const page = await browser.newPage();
    await page.goto(`${origin}/rooms?${new URLSearchParams({ url: replica.url, token: tokenOf('ann') })}`);
    const { messages } = await publisher.topic('room-a').history({ limit: 50 });
    await page.getByText(`room-a: ${messages.length} messages, 2 users`).waitFor();
    // Nobody is signed in: the service gives it nothing.
    await page.evaluate(`signIn('')`);
    await page.getByText('room-a: 0 messages, 0 users').waitFor();
    await page.close();
  });

  it('shows in React who is there when the service had no room for the question at first', async () => {
    publisher.topic('room-a').subscribe();
    const page = await browser.newPage();
    const query = { url: replica.url, token: tokenOf('bob'), refusals: '2' };
    await page.goto(`${origin}/rooms?${new URLSearchParams(query)}`);
    await page.getByText('2 users').waitFor();
    assert.equal(await page.evaluate('refusals'), 0);
    await page.close();
  });

  for (const [how, code, refusals] of [
    ['is refused for good', 'forbidden', 1],
    ['is refused again and again', 'busy', Infinity],
  ] as const)
    it(`keeps nothing in React of those who have come and gone, when the question who is there ${how}`, async () => {
      const page = await browser.newPage();
      const query = { url: replica.url, token: tokenOf('bob'), refusals: String(refusals), code };
      await page.goto(`${origin}/rooms?${new URLSearchParams(query)}`);
      await until(
        async () => (await page.evaluate('refusals')) !== refusals || code === 'busy',
        'it is asked',
      );
      await until(async () => (await page.evaluate('typeof presence')) === 'function', 'it follows');
      // Names that are objects: so it is seen which are let go of.
      await page.evaluate(`
        window.kept = [];
        for (let n = 0; n < 500; n++) {
          const one = { topic: 'room-a', user_id: new String('user ' + n) };
          kept.push(new WeakRef(one.user_id));
          presence({ ...one, event: 'join', connections: 1 });
          presence({ ...one, event: 'leave', connections: 0 });
        }`);
      await until(
        async () => {
          // React itself holds what it has rendered until it has rendered again, twice.
          await page.evaluate(
            `shown = []; presence({ topic: 'room-a', user_id: 'again', event: 'join', connections: 1 })`,
          );
          await page.requestGC();
          return ((await page.evaluate('kept.filter((one) => one.deref()).length')) as number) < 10;
        },
        'they are let go of',
        20_000,
      );
      await page.close();
    });
});
