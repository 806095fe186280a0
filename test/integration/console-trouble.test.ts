import assert from 'node:assert/strict';
import { emit } from '../support/clients.js';
import { ConsolePage, ConsoleRig, operatorToken } from '../support/console-rig.js';
import { tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

/** Chromium reports each answer that is an error; here the tests ask for them. */
const expected = /Failed to load resource|WebSocket connection to/;
const topics = ['constructor', 'toString', 'a/../../admin/me', '~@+=:', 'x'.repeat(200)];
const users = [
  'constructor',
  '__proto__',
  'toString',
  '👩‍👩‍👧 ❤️',
  'שלום עולם',
  'مرحبا‮abc',
  '\u3164\u2800',
  '../../admin/me?x#y',
  '%2e%2e%00',
  'x'.repeat(200),
  `"'><svg onload=alert(1)>`,
];

describe('[CONSOLE] the operator’s console in Chromium, when things go wrong', function () {
  this.timeout(120_000);
  let rig: ConsoleRig;
  const opened: ConsolePage[] = [];
  const open = async (...given: Parameters<ConsoleRig['console']>) => {
    const page = await rig.console(...given);
    opened.push(page);
    return page;
  };

  before(async () => {
    rig = await ConsoleRig.start();
  });
  after(() => rig?.stop());

  it('lists, finds and opens topics and users of any name', async () => {
    for (const topic of topics) await rig.client(rig.b, 'ann', [topic]);
    for (const user of users) await rig.client(rig.b, user, ['constructor']);
    const console = await open(rig.a, operatorToken('admin'), { width: 390, height: 800 });
    const { page } = console;
    const isRead = async (what: string) =>
      until(async () => (await page.locator('.skeleton').count()) === 0, `${what} is read`, 20_000);
    for (const [list, names] of Object.entries({ topics, users })) {
      await console.go(list);
      await isRead(list);
      await until(
        async () => (await page.locator('main tbody tr').count()) >= names.length,
        `all ${list} are listed`,
        20_000,
      );
    }
    for (const [screen, names] of Object.entries({ topic: topics, user: users }))
      for (const name of names) {
        await console.go(`${screen}/${encodeURIComponent(name)}`);
        const expectedText = screen === 'topic' ? /^Topic[^]*Subscribers\s+\d/ : /^User\b[^]*1 connection\b/;
        const main = () => page.locator('main').innerText();
        await until(async () => expectedText.test(await main()), `${screen} ${name} is read`, 20_000);
        await isRead(name);
        assert.doesNotMatch(await main(), /not_found|invalid|There is no screen/, `${screen} ${name}`);
        const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
      }
    await console.go(`search/${encodeURIComponent('__proto__')}`);
    await page.getByRole('link', { name: '__proto__' }).waitFor({ timeout: 20_000 });
    assert.equal(await page.locator('main svg, main img').count(), 0);
    await console.go(`user/${encodeURIComponent('\u3164\u2800')}`);
    await console.shows('\\u{3164}\\u{2800}');
  });

  it('goes on when a client has put half a character where a name is expected', async () => {
    const mallory = await rig.client(rig.b, 'mallory');
    const whole = `${'x'.repeat(199)}😀`;
    await emit(mallory, 'direct', { to: whole, payload: 1, trace: true });
    const console = await open(rig.a, operatorToken('operator'));
    await console.go('messages?user=mallory');
    // The longest name that a user can have is whole, and leads to that user.
    const leadsTo = (screen: string, name: string) =>
      console.page
        .locator(`a[href="#/${screen}/${encodeURIComponent(name)}"]`)
        .first()
        .waitFor({ timeout: 20_000 });
    await leadsTo('user', whole);
    await console.go('user/mallory');
    await console.act('Trace for 5 minutes', 'it fails');
    for (const name of [whole, 'half\ud800', `${'y'.repeat(199)}😀y`])
      for (const [command, field] of [
        ['direct', 'to'],
        ['publish', 'topic'],
      ] as const)
        await emit(mallory, command, { [field]: name, payload: 1 });
    await console.go('messages?user=mallory');
    for (const name of [whole, 'half\ufffd'])
      for (const screen of ['user', 'topic']) await leadsTo(screen, name);
    await console.go('user/mallory');
    await console.shows('half\ufffd');
  });

  it('shows the user and the roles of a token as text, also beside other words', async () => {
    const token = tokenOf('rolf\u202e', { roles: ['user', 'a\u202eb\u200f', '<svg onload=alert(1)>'] });
    const rolf = await rig.client(rig.b, 'rolf\u202e', [], token);
    const console = await open(rig.a, operatorToken('operator'));
    await console.go(`connection/${rolf.id}`);
    await console.shows('rolf\\u{202e}');
    await console.shows('user, a\\u{202e}b\\u{200f}, <svg onload=alert(1)>');
    await console.go(`search/${rolf.id}`);
    await console.shows('of rolf\\u{202e} on rt-b');
  });

  it('shows the other screens when one cannot be shown, and none of an address that means another', async () => {
    const console = await open(rig.a, operatorToken('operator'));
    const { page } = console;
    await page.route(/\/admin\/traces/, (route) => route.fulfill({ json: { messages: [null], next: null } }));
    await console.go('messages');
    await console.shows('This screen cannot be shown.');
    await console.go('audit');
    await page.getByRole('heading', { name: 'Audit log' }).waitFor({ timeout: 20_000 });
    for (const screen of ['session', 'connection', 'user', 'topic', 'message'])
      for (const name of ['.', '..', '%2e%2E']) {
        await console.go(`${screen}/${name}`);
        await console.shows(/^Nothing has the name \.{1,2}$/);
      }
    await console.go('constructor');
    await console.shows('There is no screen of this name');
    await until(async () => /^(. )?Console ·/.test(await page.title()), 'it has no title of its own');
    await console.go(`user/${encodeURIComponent('a\u202eb')}`);
    await until(
      async () => (await page.title()).includes('User a\\u{202e}b'),
      'the title obeys no character',
    );
  });

  it('refuses a viewer every route that changes something, whatever the page shows', async () => {
    const viewer = await open(rig.a, operatorToken('viewer'));
    const statuses = await viewer.page.evaluate<[string, number][]>(`(async () => {
      const headers = { authorization: 'Bearer ' + sessionStorage.getItem('rtc-console-token') };
      const { paths } = await (await fetch('/admin/openapi.json', { headers })).json();
      const statuses = [];
      for (const [path, methods] of Object.entries(paths))
        for (const method of Object.keys(methods).filter((one) => ['post', 'put', 'delete', 'patch'].includes(one))) {
          const url = path.replace(/\\{\\w+\\}|:\\w+/g, 'x');
          const { status } = await fetch(url, { method: method.toUpperCase(), headers, body: '{}' });
          statuses.push([method + ' ' + path, status]);
        }
      return statuses;
    })()`);
    const admin = statuses.filter(([route]) => route.includes(' /admin/'));
    assert.ok(admin.length > 20, `${admin.length} routes`);
    assert.deepEqual(
      admin.filter(([, status]) => status !== 403),
      [],
    );
  });

  it('says on which replica nobody knows whether it was done', async () => {
    const clients = [await rig.client(rig.a, 'both'), await rig.client(rig.b, 'both')];
    const console = await open(rig.a, operatorToken('operator'));
    await console.go('user/both');
    await console.shows('2 connections');
    const left = new Promise((resolve) => clients[0]!.once('disconnect', resolve));
    rig.b.signal('SIGSTOP');
    try {
      const { page } = console;
      await page.getByRole('button', { name: 'Disconnect…' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText(/1 connection of both on 1 replica \(without rt-b/).waitFor({ timeout: 20_000 });
      await dialog.getByRole('button', { name: 'Disconnect', exact: true }).click();
      await dialog.getByText(/1 connection disconnected\. Not on rt-b/).waitFor({ timeout: 20_000 });
      await left;
    } finally {
      rig.b.signal('SIGCONT');
    }
  });

  it('lets the second of two consoles know that the first has already done it', async () => {
    const [one, two] = [
      await open(rig.a, operatorToken('operator')),
      await open(rig.b, operatorToken('admin')),
    ];
    await one.go('user/nora');
    await one.act('Limit the user', 'it polls');
    await one.go('talkers');
    await two.go('talkers');
    for (const { page } of [one, two]) {
      await page.getByRole('button', { name: 'End the limit…' }).click({ timeout: 20_000 });
      await page.getByText(/For 0 connections of nora/).waitFor();
    }
    const end = ({ page }: ConsolePage) =>
      page.getByRole('dialog').getByRole('button', { name: 'End the limit', exact: true }).click();
    await end(one);
    await one.shows('nora has no limit of its own any more.');
    await end(two);
    await two.shows(/^Not done: there is no limit for user nora/);
  });

  it('forgets an open confirmation when the token ends, whoever signs in next', async () => {
    const token = tokenOf('ola', { roles: ['admin'] });
    const console = await open(rig.a, token);
    const { page } = console;
    await console.go('settings');
    await page.getByRole('button', { name: 'Maintenance…' }).click();
    await page.getByRole('dialog').getByLabel('Reason, for the audit log').fill('my reason');
    const headers = { authorization: `Bearer ${operatorToken('admin')}` };
    const revoked = await fetch(`${rig.b.url}/admin/users/ola/revoke-tokens`, { method: 'POST', headers });
    assert.equal(revoked.status, 200);
    await page.getByLabel('Admin token').waitFor({ timeout: 20_000 });
    assert.equal(await page.getByRole('dialog').count(), 0);
    assert.equal(await page.evaluate('sessionStorage.length'), 0);
    await console.signIn(operatorToken('viewer'));
    await page.getByRole('heading', { name: 'Settings', exact: true }).waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0);
  });

  it('says what is wrong while Redis is stalled, on each screen, and goes on by itself afterwards', async () => {
    const console = await open(rig.a, operatorToken('operator'));
    const { page } = console;
    await rig.redis.signal('SIGSTOP');
    try {
      await until(
        async () => /Redis/.test(await page.locator('.verdict h1').innerText()),
        'the first screen says so',
        30_000,
      );
      for (const screen of ['topic/constructor', 'user/ann', 'talkers', 'sessions', 'messages', 'settings']) {
        await console.go(screen);
        // Each part has an answer, or says what is wrong: none waits for ever.
        await until(
          async () => (await page.locator('.skeleton').count()) === 0,
          `${screen} ends to wait`,
          30_000,
        );
      }
      await console.go('topic/constructor');
      await page.getByRole('alert').first().waitFor({ timeout: 20_000 });
      assert.match(await page.getByRole('alert').first().innerText(), /Redis|busy|time/i);
    } finally {
      await rig.redis.signal('SIGCONT');
    }
    await console.shows(/^Stored messages, the newest first/);
    await until(
      async () => (await page.getByText('This could not be read.').count()) === 0,
      'it goes on',
      60_000,
    );
    await console.go('');
    await until(
      async () => /^All well/.test(await page.locator('.verdict h1').innerText()),
      'all is well again',
      60_000,
    );
  });

  it('does not say that nothing was done when the replica dies before it answers', async () => {
    const console = await open(rig.b, operatorToken('admin'));
    const { page } = console;
    await console.go('settings');
    await page.getByRole('button', { name: 'Shed presence…' }).click();
    await page.getByText(/The watchers among \d+ connections? on 2 replicas/).waitFor();
    await rig.b.end('SIGKILL');
    await page.getByRole('dialog').getByRole('button', { name: 'Shed presence', exact: true }).click();
    await console.shows(/^Nobody knows whether it was done; the audit log may: There was no answer/);
    await rig.b.run();
    await page.getByRole('dialog').getByRole('button', { name: 'Shed presence', exact: true }).click();
    await console.shows('Presence is shed.');
    await page.getByRole('button', { name: 'Close' }).click();
    await console.act('Restore presence', 'it was a test');
    await console.shows(/^live · /);
  });

  it('has complained of nothing', () => {
    for (const { complaints } of opened)
      assert.deepEqual(
        complaints.filter((text) => !expected.test(text)),
        [],
      );
  });
});
