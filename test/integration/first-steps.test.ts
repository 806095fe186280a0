import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.js';
import { Closing } from '../support/closing.js';
import { startEmbedded } from '../support/embedded-service.js';
import { endsWithTests } from '../support/ends-with-tests.js';
import { accessibilityProblems, watchPage } from '../support/page-checks.js';
import { root } from '../support/root.js';
import { freePort, until } from '../support/wait.js';

/** A name that a stranger has pointed to this machine. */
const rebound = 'evil.example';

describe('[PAGES] the page for newcomers, in Chromium, from npm start alone', function () {
  this.timeout(120_000);
  const closing = new Closing();
  let stderr = '';
  let url: string;
  let context: BrowserContext;
  let browser: Browser;
  let page: Page;
  let watched: ReturnType<typeof watchPage>;
  let directory: string;

  let port: number;
  let service: ChildProcess | undefined;

  async function start(): Promise<void> {
    const { HOME, PATH } = process.env;
    const child = spawn('npm', ['start', '--silent'], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { HOME, PATH, PORT: String(port) },
    });
    service = child;
    stderr = '';
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    await until(
      () => stderr.includes('set JWT_SECRET') || child.exitCode !== null,
      'it has started',
      100_000,
    );
    assert.equal(child.exitCode, null, stderr);
  }

  async function stop(): Promise<void> {
    const child = service;
    if (child === undefined) return;
    service = undefined;
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGTERM');
    await until(() => child.exitCode !== null || child.signalCode !== null, 'npm has ended', 20_000);
    // The service itself may end later.
    await until(
      () =>
        fetch(`${url}health`).then(
          () => false,
          () => true,
        ),
      'the service has ended',
      20_000,
    );
  }

  before(async () => {
    browser = await launchChromium([`--host-resolver-rules=MAP ${rebound} 127.0.0.1`]);
    closing.add(() => browser.close());
    port = await freePort();
    closing.add(() => stop());
    await start();
    url = /http:\S+/.exec(stderr)![0];
    // In the checkout, as the page says.
    mkdirSync(join(root, '.tmp'), { recursive: true });
    directory = mkdtempSync(join(root, '.tmp', 'first-steps-'));
    closing.add(() => Promise.resolve(rmSync(directory, { recursive: true, force: true })));
    context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
    page = await context.newPage();
    watched = watchPage(page);
    await page.goto(url);
  });
  after(() => closing.close());

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const state = () => page.locator('#state').textContent();
  const showsState = (expected: RegExp) =>
    until(async () => expected.test((await state()) ?? ''), `the state is ${expected}`, 20_000);
  const eventTexts = () => page.locator('#events li').allTextContents();
  const showsEvent = async (expected: RegExp) =>
    until(
      async () => (await eventTexts()).some((text) => expected.test(text)),
      `an event ${expected}`,
      20_000,
    ).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${(await eventTexts()).join('\n')}`);
    });
  const press = async (name: string) => {
    await until(
      async () => (await button(name).getAttribute('aria-disabled')) === 'false',
      `${name} can be pressed`,
    );
    await button(name).click();
  };

  it('is the first thing that npm start prints', () => {
    assert.match(stderr.trim().split('\n')[0]!, /^First steps, in a browser: http:\/\/localhost:\d+\/$/);
  });

  it('allows the next step only, and says which', async () => {
    await until(
      async () => (await button('Connect').getAttribute('aria-disabled')) === 'false',
      'it has a token',
    );
    for (const name of [
      'Subscribe',
      'Publish',
      'Cut the connection',
      'Publish while I am away',
      'Come back now',
    ]) {
      assert.equal(await button(name).getAttribute('aria-disabled'), 'true', name);
      // Playwright does not press what says that it is disabled.
      await button(name).dispatchEvent('click');
    }
    assert.deepEqual(await eventTexts(), []);
    assert.equal(await page.locator('li[data-next] h3').textContent(), 'Connect');
  });

  it('connects, subscribes and publishes', async () => {
    await press('Connect');
    await showsEvent(/^received status .*"user_id":"newcomer"/);
    await press('Subscribe');
    await showsState(/subscribed to first-steps/);
    await page.getByLabel('Text', { exact: true }).fill('<b>Hello</b>');
    await press('Publish');
    await showsEvent(/^received message .*"sequence":1,.*"payload":"<b>Hello<\/b>"/);
    await showsEvent(/^received answer of publish .*"ok":true/);
  });

  it('is cut, publishes while it is away, and gets what it has missed, once and in order', async () => {
    await press('Cut the connection');
    await showsState(/^Away/);
    for (const text of ['one', 'two']) {
      await page.getByLabel('Text', { exact: true }).fill(text);
      await press('Publish while I am away');
      await showsEvent(new RegExp(`^http POST /api/publish .*"${text}"`));
    }
    await until(
      async () => (await eventTexts()).filter((text) => /^http 200/.test(text)).length === 2,
      'two answers',
    );
    assert.equal(
      (await eventTexts()).filter((text) => text.includes('published while you were away')).length,
      0,
    );
    await press('Come back now');
    await showsState(/subscribed to first-steps/);
    await showsEvent(/recovered is true/);
    const missed = (await eventTexts()).filter((text) => text.includes('published while you were away'));
    assert.deepEqual(
      missed.map((text) => /"sequence":(\d+).*"payload":"(\w+)"/.exec(text)?.slice(1)),
      [
        ['2', 'one'],
        ['3', 'two'],
      ],
    );
  });

  it('comes back by itself when it is cut', async () => {
    await press('Cut the connection');
    await showsState(/^Away/);
    await showsState(/subscribed to first-steps/);
  });

  it('is used with the keyboard', async () => {
    await page.getByLabel('Text', { exact: true }).focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await until(
      async () =>
        (await eventTexts()).at(-1)?.includes('"sequence":4') === true ||
        (await eventTexts()).some((text) => /"sequence":4/.test(text)),
      'it has published',
    );
    assert.equal(await page.evaluate<string>('document.activeElement.textContent'), 'Publish');
    await page.getByRole('radio', { name: 'curl' }).focus();
    await page.keyboard.press('ArrowUp');
    assert.equal(await page.getByRole('radio', { name: '/ws' }).isChecked(), true);
  });

  /** The code of a step as the page's button copies it. */
  async function copied(step: string, language: string): Promise<string> {
    await page.locator(`li[data-step=${step}] button`).first().focus();
    await page.getByRole('radio', { name: language, exact: true }).check();
    await page.evaluate("navigator.clipboard.writeText('')");
    await button('Copy').click();
    let code = '';
    await until(async () => {
      code = await page.evaluate<string>('navigator.clipboard.readText()');
      return code !== '';
    }, 'it is copied');
    return code;
  }

  /** Runs a program until it has printed what is expected. */
  async function prints(child: ChildProcess, code: string, expected: readonly RegExp[]): Promise<void> {
    endsWithTests(child);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (data: Buffer) => (output += data.toString()));
    try {
      await until(() => expected.every((one) => one.test(output)), String(expected), 30_000).catch(
        (error: unknown) => {
          throw new Error(`${String(error)}\n${code}\n${output}`);
        },
      );
    } finally {
      child.kill('SIGKILL');
    }
  }

  const programs: Record<string, Record<string, readonly RegExp[]>> = {
    'socket.io-client': {
      connect: [/connected/],
      subscribe: [/subscribed \{[^]*ok: true/],
      publish: [/published \{[^]*ok: true/, /message \d+ It's "me"/],
      cut: [/disconnected: /, /(subscribed [^]*){2}recovered: true/],
      away: [/message \d+ It's "me"[^]*disconnected: [^]*message \d+ published while I was away/],
    },
    'client library': {
      connect: [/connected/],
      publish: [/published \{/, /message \d+ It's "me"/],
      away: [/message \d+ It's "me"[^]*message \d+ published while I was away/],
    },
    '/ws': {
      connect: [/Status .*connected/],
      publish: [/Ack \{/, /Broadcast .*It's/],
      away: [/Broadcast .*It's[^]*closed: 1006[^]*Broadcast .*published while I was away/],
    },
    curl: {
      connect: [/"status":"ok"/],
      subscribe: [/"messages":\[\{/],
      publish: [/"ok":true,"id"/],
      cut: [/"messages":\[\{/],
      away: [/"ok":true,"id"[^]*"messages":\[\{[^]*published while I was away/],
    },
  };

  for (const [language, expectedOf] of Object.entries(programs))
    it(`shows code with ${language} that works as it is copied`, async () => {
      await page.getByLabel('Text', { exact: true }).fill(`It's "me" \\ $HOME \${x}`);
      const running: Promise<void>[] = [];
      for (const [step, expected] of Object.entries(expectedOf)) {
        const code = await copied(step, language);
        if (language === 'curl') {
          running.push(prints(spawn('sh', ['-c', code]), code, expected));
          continue;
        }
        const file = join(directory, `${running.length}-${language.replace(/\W/g, '')}.mjs`);
        writeFileSync(file, code);
        running.push(prints(spawn(process.execPath, [file]), code, expected));
      }
      await Promise.all(running);
    });

  it('has no violation of its policy, asks nothing of other origins, and axe-core finds nothing, in each theme and on a phone', async () => {
    for (const colorScheme of ['light', 'dark'] as const)
      for (const viewport of [
        { width: 1280, height: 800 },
        { width: 360, height: 740 },
      ]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        assert.deepEqual(await accessibilityProblems(page), []);
        const width = await page.evaluate<number>('document.documentElement.scrollWidth');
        assert.ok(width <= viewport.width, `${width} pixels wide on ${viewport.width}`);
      }
    // A WebSocket that is cut is no error of the page.
    assert.deepEqual(watched, { errors: [], foreign: [] });
  });

  it('gets no token by a name that a stranger has pointed to this machine, and then takes one by hand', async () => {
    const stranger = await context.newPage();
    await stranger.goto(url.replace('localhost', rebound));
    await stranger.getByRole('alert').waitFor();
    assert.match((await stranger.getByRole('alert').textContent()) ?? '', /localhost or 127\.0\.0\.1/);
    assert.equal(
      await stranger.getByRole('button', { name: 'Connect', exact: true }).getAttribute('aria-disabled'),
      'true',
    );
    await stranger.getByLabel('Your token').fill(/export TOKEN=(\S+)/.exec(stderr)![1]!);
    await stranger.getByRole('button', { name: 'Use it' }).click();
    await stranger.getByRole('button', { name: 'Connect', exact: true }).click();
    await until(
      async () => ((await stranger.locator('#state').textContent()) ?? '').startsWith('Connected'),
      'connected',
    );
    await stranger.close();
  });

  it('is used by the impatient: double clicks, a topic that is refused, a reload, and a second tab', async () => {
    const tab = await context.newPage();
    await tab.goto(url);
    const of = (name: string) => tab.getByRole('button', { name, exact: true });
    const events = () => tab.locator('#events li').allTextContents();
    const shows = (expected: RegExp) =>
      until(
        async () => expected.test((await tab.locator('#state').textContent()) ?? ''),
        `${expected}`,
        20_000,
      );
    const connect = async () => {
      await until(async () => (await of('Connect').getAttribute('aria-disabled')) === 'false', 'a token');
      await of('Connect').dblclick();
      await shows(/^Connected/);
    };
    await connect();
    assert.equal((await events()).filter((text) => text.startsWith('received status')).length, 1);
    await tab.getByLabel('Topic', { exact: true }).fill('$user/ann');
    await of('Subscribe').dblclick();
    await until(
      async () => (await events()).filter((text) => text.startsWith('problem answer')).length === 2,
      'it is refused',
    );
    assert.equal(await tab.locator('#state').textContent(), 'Connected.');
    assert.equal(await of('Publish').getAttribute('aria-disabled'), 'true');
    await tab.getByLabel('Topic', { exact: true }).fill('two.tabs');
    await of('Subscribe').dblclick();
    await shows(/subscribed to two\.tabs/);
    await of('Cut the connection').dblclick();
    await shows(/^Away/);
    assert.equal((await events()).filter((text) => text.startsWith('note the connection is cut')).length, 1);
    await of('Come back now').dblclick();
    await shows(/subscribed to two\.tabs/);
    await tab.reload();
    await connect();
    assert.match((await state()) ?? '', /subscribed to first-steps/, 'the first tab goes on');
    await tab.close();
  });

  it('goes on when the service has been started anew, with another secret', async () => {
    await stop();
    await start();
    // Its client comes back with the token of the earlier run, which is refused.
    await showsEvent(/^problem not connected: unauthorized/);
    await press('Connect');
    await showsState(/^Connected/);
  });

  it('has a token that is good for minutes, and for no operator', async () => {
    const answer = await fetch(`${url}first-steps/token`, {
      method: 'POST',
      headers: { origin: url.slice(0, -1) },
    });
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(answer.headers.get('access-control-allow-origin'), null);
    const { token, expires_at } = (await answer.json()) as { token: string; expires_at: number };
    assert.ok(expires_at <= Date.now() + 900_000);
    const admin = await fetch(`${url}admin/cluster`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(admin.status, 403);
    assert.equal((await fetch(`${url}first-steps/token`, { method: 'POST' })).status, 403);
    assert.equal((await fetch(`${url}first-steps/token`)).status, 405);
  });
});

describe('[PAGES] the address / of a service', () => {
  const closing = new Closing();
  afterEach(() => closing.close());

  async function started(settings: Record<string, string>, prepare?: Parameters<typeof startEmbedded>[2]) {
    const { service, url } = await startEmbedded({ LOG_LEVEL: 'off', ...settings }, {}, prepare);
    closing.add(() => service.close());
    return url;
  }

  it('is the route of a program that has one', async () => {
    const url = await started(
      {},
      ({ app }) => void app.get('/', (_request, response) => response.send('mine')),
    );
    assert.equal(await (await fetch(`${url}/`)).text(), 'mine');
  });

  it('has no page in production, in tests and with the profile hardened', async () => {
    for (const settings of [
      { NODE_ENV: 'production' },
      { NODE_ENV: 'test' },
      { RTC_SERVER_PROFILE: 'hardened' },
    ]) {
      const url = await started({ JWT_SECRET: 'a secret of more than thirty-two bytes', ...settings });
      for (const path of ['/', '/first-steps/main.js', '/first-steps/token'])
        assert.equal((await fetch(url + path)).status, 404, `${JSON.stringify(settings)} ${path}`);
    }
  });

  it('has a page that is given no token if the secret is not of this run', async () => {
    const url = await started({ JWT_SECRET: 'change-me' });
    assert.equal((await fetch(`${url}/`)).status, 200);
    const answer = await fetch(`${url}/first-steps/token`, { method: 'POST', headers: { origin: url } });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /rtc token/);
  });
});
