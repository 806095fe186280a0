import assert from 'node:assert/strict';
import type { Socket } from 'socket.io-client';
import { emit } from '../support/clients.js';
import { ConsolePage, ConsoleRig, operatorToken } from '../support/console-rig.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/** Chromium reports each answer that is an error; here the tests ask for them. */
const expected = /Failed to load resource|WebSocket connection to/;

describe('[CONSOLE] the operator’s console in Chromium, on two replicas', function () {
  this.timeout(180_000);
  let rig: ConsoleRig;
  let one: ConsolePage;
  let two: ConsolePage;
  let publisher: Socket;
  const opened: ConsolePage[] = [];

  const open = async (...given: Parameters<ConsoleRig['console']>) => {
    const page = await rig.console(...given);
    opened.push(page);
    return page;
  };

  before(async () => {
    rig = await ConsoleRig.start();
    publisher = await rig.client(rig.a, 'pia', ['news']);
    await rig.client(rig.b, 'bob', ['news']);
  });
  after(() => rig?.stop());

  it('refuses a wrong token and one of a user, and accepts that of an operator', async () => {
    one = await open(rig.a);
    const { page } = one;
    await page.getByLabel('Admin token').fill('not-a-token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await one.shows(/unauthorized/);
    await page.getByLabel('Admin token').fill(tokenOf('ann'));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await one.shows(/for no operator/);
    await one.signIn(operatorToken('admin'));
    await one.shows(/^All well: .* on 2 replicas/);
    await one.shows('live · 2 of 2 replicas answer');
    assert.equal(page.url(), one.url, 'the token is not in the address');
    assert.deepEqual(await page.evaluate('[localStorage.length, document.cookie]'), [0, '']);
  });

  it('has a strict policy, and no inline script or style', async () => {
    const response = await fetch(one.url, { headers: { accept: 'text/html' } });
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|data:|\*/);
    assert.doesNotMatch(await response.text(), /<script>|<style|style=|\son\w+=/);
    const asked = await fetch(one.url, { headers: { accept: 'application/json' } });
    assert.equal(asked.status, 401, 'the API keeps its paths');
  });

  it('shows a topic as soon as it has a subscriber, without a reload', async () => {
    await one.go('topics');
    await one.shows('news');
    await rig.client(rig.b, 'tom', ['fresh']);
    await one.page.getByRole('link', { name: 'fresh' }).waitFor({ timeout: 20_000 });
  });

  it('finds a message by its id, and draws its way over both replicas', async () => {
    const { id } = await emit(publisher, 'publish', { topic: 'news', payload: { hello: 1 }, trace: true });
    await one.page.getByLabel('Find a user, topic, message id or connection').fill(id!);
    await one.page.keyboard.press('Enter');
    await one.page.getByRole('link', { name: id! }).first().click();
    await one.shows(/^Delivered on 2 replicas to 2 connections, /);
    const lanes = await one.page.locator('.lane').allInnerTexts();
    assert.deepEqual(lanes.map((lane) => lane.trim()).sort(), ['rt-a', 'rt-b']);
    assert.ok((await one.page.locator('.lane .stop').count()) >= 5);
  });

  it('shows hostile names and payloads as text, and a payload of a megabyte piece by piece', async () => {
    const mark = '\u202e<img src=x onerror="document.title=1">';
    await rig.client(rig.b, `mal${mark}`, ['hostile']);
    await emit(publisher, 'publish', { topic: 'hostile', payload: { text: `${mark}\u0007` } });
    await emit(publisher, 'publish', { topic: 'hostile', payload: `big ${'x'.repeat(1_000_000)}` });
    await one.go('users');
    await one.shows(/mal.*<img src=x/);
    assert.match(await one.page.locator('main').innerText(), /mal\\u\{202e\}<img src=x onerror/);
    await one.go('topic/hostile');
    await one.page
      .getByRole('button', { name: /^show all/ })
      .first()
      .click();
    await one.page.getByRole('button', { name: /^more: / }).waitFor();
    const drawn = await one.page.evaluate<number>(`document.querySelector('main pre').textContent.length`);
    assert.ok(drawn > 5000 && drawn < 20_000, `${drawn} characters are drawn`);
    assert.equal(await one.page.locator('main img').count(), 0);
  });

  it('disconnects a connection of the other replica, and leaves the reason in the audit log', async () => {
    const victim = await rig.client(rig.b, 'victim', ['news', 'fresh']);
    const left = new Promise((resolve) => victim.once('disconnect', resolve));
    await one.page.keyboard.press('/');
    await one.page.getByLabel('Find a user, topic, message id or connection').fill(victim.id!);
    await one.page.keyboard.press('Enter');
    await one.page.getByRole('link', { name: victim.id! }).first().click();
    await one.shows('rt-b');
    const said = await one.act('Disconnect', 'it floods us');
    assert.match(said, /1 connection of victim on replica rt-b, with 2 subscriptions, is closed/);
    assert.match(said, /curl -X POST '.*\/admin\/connections\/.*\/disconnect'/);
    assert.match(said, /"reason":"it floods us"/);
    await left;
    await one.go('audit');
    await one.shows(/it floods us/);
  });

  it('draws the figures as lines, also after the theme and the width have changed', async () => {
    const { page } = one;
    await one.go('');
    const drawn = () =>
      page.evaluate<boolean>(`[...document.querySelectorAll('main canvas')].every((canvas) =>
        canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0))`);
    const isLine = async () => (await page.locator('main canvas').count()) === 4 && (await drawn());
    await until(isLine, 'four lines are drawn', 30_000);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 500, height: 900 });
    await until(isLine, 'they are drawn again', 20_000);
    await page.getByRole('button', { name: 'Connections as a table' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Connections, as a table' }).waitFor();
    await page.keyboard.press('Escape');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  it('names who floods, limits that user for a time, and ends the limit', async () => {
    const mallory = await rig.client(rig.b, 'mallory');
    const flood = setInterval(() => mallory.emit('publish', { topic: 'fresh', payload: 'x' }), 20);
    const isRefused = async () =>
      (await Promise.all(Array.from({ length: 20 }, () => emit(mallory, 'ping', { timestamp: 1 })))).some(
        ({ error }) => error?.code === 'rate_limited',
      );
    try {
      await one.go('talkers');
      await one.page.getByRole('row').filter({ hasText: 'mallory' }).first().waitFor({ timeout: 20_000 });
      await one.page.getByRole('link', { name: 'mallory' }).first().click();
      await one.page.getByRole('heading', { name: 'User mallory' }).waitFor();
      await until(async () => {
        const tile = one.page.locator('.tile').filter({ hasText: 'Messages per second' });
        return Number.parseFloat(await tile.locator('strong').innerText()) > 5;
      }, 'its rate is drawn');
      const said = await one.act('Limit the user', 'it floods fresh', undefined, {
        'Commands per second, all connections together': '3',
        'For so many minutes': '2',
      });
      assert.match(said, /1 connection of mallory on 1 replica/);
      assert.match(said, /"commands_per_sec":3,"for_secs":120,"reason":"it floods fresh"/);
      await one.page.getByText('it floods fresh').waitFor();
      await one.shows(/^in (1 min|\d+ s)$/);
      await until(isRefused, 'the user is limited');
      await one.go('');
      await one.shows(/^1 user with a limit of their own/);
      await one.go('talkers');
      await one.act('End the limit', 'it has stopped');
      await one.shows('There is none: the limits of the settings apply.');
    } finally {
      clearInterval(flood);
    }
    await until(async () => !(await isRefused()), 'the user is free again');
    await one.go('audit');
    await one.shows(/it has stopped/);
  });

  it('shows which commands of a user were refused, and why', async () => {
    await emit(publisher, 'publish', { topic: '$secret', payload: 1 });
    await emit(publisher, 'subscribe', { topics: ['$user/ann'] });
    await one.go('user/pia');
    const panel = one.page.getByRole('region', { name: 'Recent refusals' });
    await panel.getByRole('row').filter({ hasText: 'publish' }).getByText('$secret').waitFor();
    await panel.getByRole('row').filter({ hasText: 'subscribe' }).first().waitFor();
  });

  it('keeps what is being typed when its screen is read again', async () => {
    const { id } = await emit(publisher, 'publish', { topic: 'news', payload: 1, trace: true });
    const isRead = () => one.page.waitForResponse((response) => response.url().endsWith(`/${id}/trace`));
    await one.go(`message/${id}`);
    const filter = one.page.getByRole('searchbox', { name: 'Did this user get it?' });
    await filter.pressSequentially('bo');
    for (let n = 0; n < 2; n++) await isRead();
    await one.page.evaluate('new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))');
    assert.equal(await filter.inputValue(), 'bo');
  });

  it('says whether a user got a message, also without a trace', async () => {
    const { id } = await emit(publisher, 'publish', { topic: 'news', payload: 1, trace: true });
    await one.go(`message/${id}`);
    await one.page.getByRole('searchbox', { name: 'Did this user get it?' }).fill('bob');
    await one.page.keyboard.press('Enter');
    await one.shows(/^acknowledged|^● (acknowledged|delivered)/);
    await one.shows(/bob (got it, and acknowledged it|was sent it)/);
    const untraced = await emit(publisher, 'publish', { topic: 'news', payload: 2 });
    await one.go(`message/${untraced.id}?user=nobody&topic=news`);
    await one.shows(/nobody (may or may not have got it|did not get it)/);
  });

  it('shows how fast a client answers, and how full an inbox is, and empties it', async () => {
    const near = await rig.client(rig.b, 'near', ['news']);
    await one.go(`connection/${near.id}`);
    await one.shows(/^\d+(\.\d)? ms$/);
    for (let n = 0; n < 3; n++) assert.ok((await emit(publisher, 'direct', { to: 'absent', payload: n })).ok);
    await one.go('user/absent');
    const inbox = one.page.getByRole('region', { name: 'Inbox', exact: true });
    await inbox.getByText('3', { exact: true }).waitFor();
    const said = await one.act('Empty the inbox', 'the account is closed', 'empty');
    assert.match(said, /3 direct messages that absent has not acknowledged are deleted/);
    await inbox.getByText('0', { exact: true }).waitFor();
  });

  it('shows ages by the clock of the service, not by that of a browser an hour ahead', async () => {
    const context = await rig.browser.newContext();
    await context.addInitScript('const now = Date.now; Date.now = () => now() + 3_600_000;');
    const ahead = await ConsolePage.open(context, rig.a);
    opened.push(ahead);
    await ahead.signIn(operatorToken('operator'));
    await ahead.go('topic/fresh');
    await ahead.act('Freeze', 'a look at the clock');
    await ahead.go('');
    await ahead.shows(/by olga-operator, (just now|\d+ s ago): “a look at the clock”/);
    await ahead.go('topic/fresh');
    await ahead.act('Unfreeze', 'seen');
  });

  it('shows the mode read-only to a client, and as a banner in a second console, which ends it', async () => {
    two = await open(rig.b, operatorToken('operator'));
    await one.go('settings');
    const said = await one.act('Read only', 'the database moves');
    assert.match(said, /\d+ connections on 2 replicas can no longer publish/);
    await until(
      async () =>
        (await emit(publisher, 'publish', { topic: 'news', payload: 1 })).error?.code === 'read_only',
      'a client is refused',
    );
    await two.shows('The service is read only');
    await two.shows(/the database moves/);
    await two.act('Back to normal', 'it has moved');
    await until(
      async () => (await emit(publisher, 'publish', { topic: 'news', payload: 1 })).ok,
      'a client may publish',
    );
    await until(
      async () => (await one.page.getByText('The service is read only').count()) === 0,
      'the banner has gone',
      20_000,
    );
  });

  it('shows a viewer everything of its role, and no button that acts', async () => {
    const viewer = await open(rig.a, operatorToken('viewer'));
    for (const screen of [
      '',
      'talkers',
      'topics',
      'topic/news',
      'users',
      'user/bob',
      'connections',
      'messages',
      'actors',
      'sessions',
      'settings',
      'audit',
    ]) {
      await viewer.go(screen);
      await viewer.page.locator('main :is(h1, .card)').first().waitFor();
      await until(
        async () => (await viewer.page.locator('.skeleton').count()) === 0,
        `${screen} is read`,
        20_000,
      );
      assert.equal(await viewer.page.getByRole('button', { name: /…$/ }).count(), 0, screen);
    }
    await viewer.shows('Your role may not see this.');
  });

  it('works by the keyboard: search, sections, rows, pause', async () => {
    const { page } = one;
    await one.go('');
    await one.shows(/^All well/);
    await page.locator('main').focus();
    await page.keyboard.press('g');
    await page.keyboard.press('u');
    await page.getByRole('heading', { name: 'Users', exact: true }).waitFor();
    await page.getByRole('link', { name: 'bob' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^User / }).waitFor();
    await page.keyboard.press('p');
    await one.shows('paused');
    await page.keyboard.press('p');
    await one.shows(/^live · /);
  });

  it('has no violation of accessibility rules on any screen, in light and dark, on a desktop and a phone', async () => {
    const { id } = await emit(publisher, 'publish', { topic: 'news', payload: 1, trace: true });
    const screens = [
      ...['talkers', `connection/${publisher.id}`, `message/${id}?user=bob`],
      ...['', 'topics', 'topic/news', 'users', 'user/bob', 'connections', 'messages', 'actors', 'sessions'],
      ...['audit', 'settings', 'search/news', 'nowhere'],
    ];
    const found: string[] = [];
    const { page } = one;
    for (const [colorScheme, width] of [
      ['light', 1280],
      ['dark', 390],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      for (const screen of screens) {
        await one.go(screen);
        await until(async () => (await page.locator('.skeleton').count()) === 0, `${screen} is read`, 20_000);
        for (const violation of await one.violations()) found.push(`${colorScheme} ${screen}: ${violation}`);
        const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        if (overflow > 0) found.push(`${screen} is ${overflow} pixels wider than a window of ${width}`);
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await one.go('settings');
    await page.getByRole('button', { name: 'Read only…' }).click();
    for (const violation of await one.violations()) found.push(`dialog: ${violation}`);
    await page.keyboard.press('Escape');
    const out = await open(rig.a);
    for (const violation of await out.violations()) found.push(`sign-in: ${violation}`);
    assert.deepEqual(found, []);
  });

  it('fits on a phone with large figures and long codes', async () => {
    const context = await rig.browser.newContext({ viewport: { width: 390, height: 900 } });
    const phone = await ConsolePage.open(context, rig.a);
    opened.push(phone);
    await phone.page.route('**/admin/overview*', async (route) => {
      const response = await route.fetch();
      const overview = (await response.json()) as { figures: object };
      Object.assign(overview.figures, {
        connections: 1_234_567,
        deliveries_per_sec: 12_345_678,
        p99_ms: 123_456.7,
        refused_per_sec: 123_456,
        refused_by_code: { connection_limit_reached: 100_000, rate_limited: 23_456 },
      });
      await route.fulfill({ response, json: overview });
    });
    await phone.signIn(operatorToken('operator'));
    await phone.shows(/connection_limit_reached/);
    const wide = `[...document.querySelectorAll('body *')]
      .filter((one) => one.getBoundingClientRect().right > innerWidth && one.closest('.scroll, nav') === null)
      .map((one) => one.outerHTML.slice(0, 200))`;
    assert.deepEqual(await phone.page.evaluate(wide), []);
    await context.close();
  });

  it('says that a replica has been killed, and that its own figures are old until the replica is back', async () => {
    await two.go('');
    await one.go('');
    await one.shows(/^All well/);
    await rig.b.end('SIGKILL');
    await one.shows(/1 replica (does not answer|ended without a drain): rt-b/);
    await two.shows(/These figures are old/);
    await one.shows(/ended without a drain: rt-b/);
    await rig.b.run();
    await until(
      async () => (await two.page.getByText(/These figures are old/).count()) === 0,
      'the second console goes on',
      30_000,
    );
    await one.shows(/^All well: .* on 2 replicas/);
  });

  it('says nothing of a replica that was stopped in order', async () => {
    await rig.b.end('SIGTERM');
    await one.shows(/^All well: .* on 1 replica[,.]/);
    await rig.b.run();
    await one.shows(/^All well: .* on 2 replicas/);
  });

  it('has complained of nothing', () => {
    for (const { complaints } of opened)
      assert.deepEqual(
        complaints.filter((text) => !expected.test(text)),
        [],
      );
  });
});
