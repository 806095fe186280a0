import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { io, type Socket } from 'socket.io-client';
import { ok, request, type Json } from '../support/admin.js';
import { launchChromium } from '../support/chromium.js';
import { connectClient, emit, JsonClient } from '../support/clients.js';
import { Closing } from '../support/closing.js';
import { watchPage } from '../support/page-checks.js';
import { TestRedis } from '../support/redis.js';
import { TestReplica, tokenOf } from '../support/replica.js';
import { until } from '../support/wait.js';

const admin = (role: string, claims: object = {}) => tokenOf(`${role}-olga`, { roles: [role], ...claims });

interface Listed {
  readonly id: string;
  readonly rooms: string[];
  readonly data: { readonly user_id: string; readonly wire: string; readonly replica_id: string };
}

/** A page of the UI, without a browser: it keeps the list as the page does. */
class UiClient {
  readonly sockets = new Map<string, Listed>();
  readonly servers = new Map<string, Json>();
  readonly errors: Json[] = [];
  features: readonly string[] = [];
  refusal: (Error & { data?: { code: string } }) | undefined;
  readonly socket: Socket;

  constructor(url: string, auth: object) {
    this.socket = io(`${url}/admin`, {
      auth,
      forceNew: true,
      reconnection: false,
      transports: ['websocket'],
    });
    this.socket.on('connect_error', (error) => (this.refusal = error));
    this.socket.on('config', ({ supportedFeatures }: { supportedFeatures: string[] }) => {
      this.features = supportedFeatures;
    });
    this.socket.on('error', (error: Json) => this.errors.push(error));
    this.socket.on('server_stats', (stats: Json) => this.servers.set(stats['serverId'] as string, stats));
    this.socket.on('all_sockets', (all: Listed[]) => {
      this.sockets.clear();
      for (const one of all) this.sockets.set(one.id, one);
    });
    this.socket.on('socket_connected', (one: Listed) => this.sockets.set(one.id, one));
    this.socket.on('socket_disconnected', (_nsp: string, id: string) => this.sockets.delete(id));
    this.socket.on('room_joined', (_nsp: string, room: string, id: string) =>
      this.sockets.get(id)?.rooms.push(room),
    );
    this.socket.on('room_left', (_nsp: string, room: string, id: string) => {
      const one = this.sockets.get(id);
      if (one !== undefined) one.rooms.splice(one.rooms.indexOf(room), 1);
    });
  }

  of(user: string): Listed | undefined {
    return [...this.sockets.values()].find(({ data }) => data.user_id === user);
  }

  async lists(...users: string[]): Promise<void> {
    await until(() => users.every((user) => this.of(user) !== undefined), `it lists ${users.join()}`, 20_000);
  }
}

describe('[PAGES] the Socket.IO Admin UI, on two replicas', function () {
  this.timeout(120_000);
  const closing = new Closing();
  const each = new Closing();
  let redis: TestRedis;
  let a: TestReplica;
  let b: TestReplica;

  before(async () => {
    redis = await closing.started(TestRedis.start());
    const environment = {
      REDIS_URL: redis.url,
      RTC_AUTH_LEEWAY_SECS: '0',
      RTC_ADMIN_CALL_TIMEOUT_MS: '1000',
    };
    const start = async (name: string) => {
      const replica = await TestReplica.start({ ...environment, REPLICA_ID: name });
      closing.add(() => replica.end('SIGKILL'));
      return replica;
    };
    a = await start('a');
    b = await start('b');
  });
  afterEach(() => each.close());
  after(() => closing.close());

  const connect = async (replica: TestReplica, user: string, claims: object = {}) => {
    const client = await connectClient(replica.url, user, { auth: { token: tokenOf(user, claims) } });
    each.add(() => Promise.resolve(client.disconnect()));
    return client;
  };
  const connectJson = async (replica: TestReplica, user: string) => {
    const client = new JsonClient(replica.webSocketUrl, user);
    each.add(() => Promise.resolve(client.close()));
    await until(() => client.of('Status').length > 0, `${user} is connected`);
    return client;
  };
  const open = (replica: TestReplica, auth: object) => {
    const ui = new UiClient(replica.url, auth);
    each.add(() => Promise.resolve(ui.socket.disconnect()));
    return ui;
  };
  const records = async () => (await ok(a, 'GET', '/audit?limit=50'))['records'] as Json[];
  const isAudited = (action: string, result: string, by: string) =>
    until(
      async () =>
        (await records()).some(
          (one) => one['action'] === action && one['result'] === result && one['user_id'] === by,
        ),
      `${action} ${result} of ${by} is in the audit log`,
    ).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(await records())}`);
    });

  describe('its page in Chromium', () => {
    let browser: Browser;
    let page: Page;
    let watched: ReturnType<typeof watchPage>;

    before(async () => {
      browser = await launchChromium();
      closing.add(() => browser.close());
    });
    beforeEach(async () => {
      const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
      each.add(() => context.close());
      page = await context.newPage();
      watched = watchPage(page);
      await page.goto(`${a.url}/admin/socket-io`);
    });

    const signIn = async (token: string) => {
      await page.locator('input[type=password]').fill(token);
      await page.locator('form button[type=submit]').click();
    };

    it('refuses a wrong token, signs in with an admin token, and lists sockets of both replicas, /ws clients among them', async () => {
      const clients = [await connect(a, 'ann'), await connect(b, 'bob')];
      await connectJson(b, 'wendy');
      const wendy = ((await ok(a, 'GET', '/users/wendy'))['connections'] as Json[])[0]![
        'connection_id'
      ] as string;
      await emit(clients[0]!, 'subscribe', { topics: ['news'] });
      await page.locator('input[type=password]').waitFor();
      assert.equal(await page.locator('form .red--text').count(), 0, 'no error before the first try');
      await signIn('nonsense');
      await page.getByText('Invalid credentials').waitFor();
      await signIn(admin('operator'));
      await page.locator('form').waitFor({ state: 'hidden' });
      await page.goto(`${a.url}/admin/socket-io/#/sockets/`);
      for (const id of [...clients.map((client) => client.id!), wendy])
        await page.getByText(id).first().waitFor();
      await page.getByText(clients[0]!.id!).first().click();
      await page.getByText('"user_id": "ann"').waitFor();
      await page.getByText('news', { exact: true }).first().waitFor();
      // Fonts have come from the service.
      assert.equal(await page.evaluate('document.fonts.check(\'24px "Material Design Icons"\')'), true);
      assert.equal(await page.evaluate("document.fonts.check('16px Roboto')"), true);
      const refused = watched.errors.filter((text) => !/font/.test(text));
      assert.deepEqual({ errors: refused, foreign: watched.foreign }, { errors: [], foreign: [] });
      // The token is nowhere in the browser but in the page itself.
      assert.doesNotMatch(
        await page.evaluate<string>('JSON.stringify([localStorage, sessionStorage])'),
        /eyJ/,
      );
    });

    it('disconnects a client of the other replica for an operator, and has no such button for a viewer', async () => {
      const bob = await connect(b, 'bob');
      const id = bob.id!;
      const isGone = new Promise((resolve) => bob.once('disconnect', resolve));
      const buttons = () => page.locator('tbody button:has(.mdi-logout)');
      await signIn(admin('viewer'));
      await page.locator('form').waitFor({ state: 'hidden' });
      await page.goto(`${a.url}/admin/socket-io/#/sockets/`);
      await page.getByText(id).first().waitFor();
      assert.equal(await buttons().count(), 0);
      await page.reload();
      await signIn(admin('operator'));
      await page.locator('form').waitFor({ state: 'hidden' });
      await page.locator('tr', { hasText: id }).locator('button').first().click();
      await isGone;
      await isAudited(`POST /admin/connections/${id}/disconnect`, 'ok', 'operator-olga');
      // The click has opened the page of the socket, too.
      await page.goto(`${a.url}/admin/socket-io/#/sockets/`);
      await until(
        async () => (await page.locator('td', { hasText: id }).count()) === 0,
        'it is not listed',
        20_000,
      );
    });
  });

  it('asks for an admin token, and has no other way in', async () => {
    for (const [auth, message, code] of [
      [{}, '', 'unauthorized'],
      [{ sessionId: 'abc' }, '', 'unauthorized'],
      [{ username: 'admin', password: 'admin' }, 'invalid credentials', 'unauthorized'],
      [{ password: admin('operator', { exp: 1 }) }, 'invalid credentials', 'token_expired'],
      [{ password: tokenOf('ann') }, 'this needs the role viewer or operator or admin', 'forbidden'],
    ] as const) {
      const ui = open(a, auth);
      await until(() => ui.refusal !== undefined, 'it is refused');
      assert.deepEqual([ui.refusal?.message, ui.refusal?.data?.code], [message, code]);
    }
  });

  it('shows servers, and rooms as topics, and follows what changes', async () => {
    const ann = await connect(a, 'ann');
    const ui = open(b, { password: admin('viewer') });
    await ui.lists('ann');
    await emit(ann, 'subscribe', { topics: ['news'] });
    await until(() => ui.of('ann')!.rooms.includes('news'), 'the room is shown', 20_000);
    assert.deepEqual(ui.of('ann')!.rooms, [ann.id, 'news']);
    await emit(ann, 'unsubscribe', { topics: ['news'] });
    await until(() => !ui.of('ann')!.rooms.includes('news'), 'the room is left', 20_000);
    await until(() => ui.servers.size === 2, 'both servers');
    await until(() => ui.servers.get('a')!['clientsCount'] === 1, 'the figure of a', 20_000);
    ann.disconnect();
    await until(() => ui.of('ann') === undefined, 'the socket is gone', 20_000);
  });

  it('lets a viewer change nothing, and records the attempts', async () => {
    const ann = await connect(a, 'ann');
    const ui = open(b, { password: admin('viewer') });
    await ui.lists('ann');
    assert.deepEqual(ui.features, ['ALL_EVENTS', 'AGGREGATED_EVENTS']);
    ui.socket.emit('_disconnect', '/', true, ann.id);
    ui.socket.emit('join', '/', 'news', ann.id);
    ui.socket.emit('emit', '/', undefined, 'message', { fake: true });
    await until(() => ui.errors.length === 3, 'three refusals');
    assert.deepEqual(
      ui.errors.map(({ code }) => code as string),
      ['forbidden', 'forbidden', 'forbidden'],
    );
    await isAudited(`POST /admin/connections/${ann.id}/disconnect`, 'forbidden', 'viewer-olga');
    assert.equal(ann.connected, true);
  });

  it('makes a client join only what the client may subscribe, with a position, and leave', async () => {
    const statuses: Json[] = [];
    const messages: Json[] = [];
    const ann = await connect(a, 'ann', { topics: ['news', 'news.*'] });
    ann.on('status', (status: Json) => statuses.push(status));
    ann.on('message', (message: Json) => messages.push(message));
    // Its token has subscribed it to the topic that it names.
    await emit(ann, 'unsubscribe', { topics: ['news'] });
    const ui = open(b, { password: admin('operator') });
    await ui.lists('ann');
    ui.socket.emit('join', '/', 'secret', ann.id);
    await until(() => ui.errors.length === 1, 'it is refused');
    assert.equal(ui.errors[0]!['code'], 'forbidden');
    await isAudited(`POST /admin/connections/${ann.id}/subscribe`, 'forbidden', 'operator-olga');
    ui.socket.emit('join', '/', 'news.today', ann.id);
    await until(
      () => statuses.some(({ details }) => details?.by === 'operator'),
      'ann is subscribed',
      20_000,
    );
    const { details } = statuses.find((one) => one['details']?.by === 'operator') as Json;
    assert.deepEqual(details.topics, ['news.today']);
    assert.equal(typeof details.positions[0].epoch, 'string');
    const bob = await connect(b, 'bob');
    for (const topic of ['secret', 'news.today']) await emit(bob, 'publish', { topic, payload: topic });
    await until(() => messages.length > 0, 'the message arrives');
    assert.deepEqual(
      messages.map(({ topic, sequence }) => [topic, sequence]),
      [['news.today', details.positions[0].sequence + 1]],
    );
    await isAudited(`POST /admin/connections/${ann.id}/subscribe`, 'ok', 'operator-olga');
    ui.socket.emit('leave', '/', 'news.today', ann.id);
    await until(
      () => statuses.some(({ status }) => status === 'unsubscribed'),
      'ann is unsubscribed',
      20_000,
    );
  });

  it('does nothing to all sockets at once, to other namespaces, or with odd arguments', async () => {
    const ann = await connect(a, 'ann');
    const ui = open(a, { password: admin('operator') });
    await ui.lists('ann');
    const odd: unknown[][] = [
      ['_disconnect', '/', true],
      ['_disconnect', '/admin', true, ui.socket.id],
      ['_disconnect', '/', true, ''],
      ['_disconnect', '/', true, { id: 1 }],
      ['_disconnect', null],
      ['join', '/', 'news'],
      ['join', '/', { a: 1 }, ann.id],
      ['join', '/', `topic:${'x'.repeat(2000)}`, ann.id],
      ['leave'],
    ];
    for (const [event, ...args] of odd) ui.socket.emit(event as string, ...args);
    await until(() => ui.errors.length === odd.length, `all are refused: ${ui.errors.length}`);
    assert.equal(ann.connected, true);
    assert.equal(ui.socket.connected, true);
  });

  it('ends with the expiry of its token, and with its revocation', async () => {
    const expiring = open(a, { password: admin('viewer', { exp: Math.floor(Date.now() / 1000) + 5 }) });
    const revoked = open(b, { password: admin('viewer', { jti: 'of the ui' }) });
    await until(() => expiring.features.length > 0 && revoked.features.length > 0, 'both are signed in');
    await ok(a, 'POST', '/tokens/revoke', { token_id: 'of the ui' });
    await until(() => !revoked.socket.connected && !expiring.socket.connected, 'both have ended', 20_000);
    assert.equal(revoked.errors.at(-1)?.['code'], 'token_revoked');
    assert.equal(expiring.errors.at(-1)?.['code'], 'token_expired');
  });

  it('touches nothing while Redis is stalled, and goes on afterwards', async () => {
    const ann = await connect(a, 'ann');
    await connect(b, 'bob');
    const before = open(a, { password: admin('operator') });
    await before.lists('ann', 'bob');
    await redis.signal('SIGSTOP');
    try {
      const during = Array.from({ length: 5 }, () => open(a, { password: admin('viewer') }));
      await until(() => during.every(({ features }) => features.length > 0), 'they sign in', 20_000);
      // The service answers everything that needs no Redis.
      for (let n = 0; n < 5; n++) {
        assert.equal((await fetch(`${a.url}/health`, { signal: AbortSignal.timeout(5000) })).status, 200);
        assert.equal((await emit(ann, 'ping', { timestamp: n }))['ok'], true);
      }
      await Promise.all(during.map((ui) => ui.lists('ann')));
      before.socket.emit('_disconnect', '/', true, ann.id);
      // It is done, or it is refused because Redis is known to be down by now.
      await until(() => !ann.connected || before.errors.length > 0, 'the action ends', 30_000);
      // Nothing is known of the other replica, so nothing of it has gone.
      assert.ok(before.of('bob') !== undefined);
    } finally {
      await redis.signal('SIGCONT');
    }
    const after = open(b, { password: admin('viewer') });
    await after.lists('bob');
    assert.equal((await request(a, 'GET', '/connections')).status, 200);
  });

  it('is off by its setting: no page, no namespace', async () => {
    const off = await TestReplica.start({ RTC_ADMIN_SOCKET_IO_UI: 'off' });
    each.add(() => off.end('SIGKILL'));
    assert.equal((await fetch(`${off.url}/admin/socket-io/`)).status, 401);
    const ui = open(off, { password: admin('admin') });
    await until(() => ui.refusal !== undefined, 'it is refused');
    assert.equal(ui.refusal?.message, 'Invalid namespace');
  });
});
