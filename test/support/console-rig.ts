import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { Socket } from 'socket.io-client';
import { launchChromium } from './chromium.js';
import { Closing } from './closing.js';
import { connectClient, emit } from './clients.js';
import { TestRedis } from './redis.js';
import { TestReplica, tokenOf } from './replica.js';
import { until } from './wait.js';

const desktop = { width: 1280, height: 900 };
/** The script that looks for violations of accessibility rules. */
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** A page of the console, with all that it has complained of. */
export class ConsolePage {
  /** Errors on the console, exceptions, and reports of the Content-Security-Policy. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    readonly url: string,
  ) {}

  static async open(context: BrowserContext, replica: TestReplica): Promise<ConsolePage> {
    const page = await context.newPage();
    await page.addInitScript(
      `addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => console.error('CSP ' + violatedDirective + ' ' + blockedURI));`,
    );
    const opened = new ConsolePage(page, `${replica.url}/admin/`);
    page.on('console', (message) => {
      if (message.type() === 'error') opened.complaints.push(message.text());
    });
    page.on('pageerror', (error) => opened.complaints.push(error.message));
    await page.goto(opened.url);
    return opened;
  }

  /** Signs in, and waits for the first figures. */
  async signIn(token: string): Promise<void> {
    await this.page.getByLabel('Admin token').fill(token);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.getByText(/^live · /).waitFor();
  }

  /** Goes to a screen, as a link does. */
  async go(screen: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(`#/${screen}`)}`);
  }

  /** Waits until a text is on the page. */
  async shows(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor({ timeout: 20_000 });
  }

  /** Presses a button that acts, fills the confirmation in, and confirms. Resolves to what the confirmation said before. */
  async act(
    title: string,
    reason: string,
    word?: string,
    numbers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { page } = this;
    await page
      .getByRole('button', { name: `${title}…` })
      .first()
      .click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: title, exact: true });
    await dialog.getByLabel('Reason, for the audit log').fill(reason);
    for (const [label, value] of Object.entries(numbers)) await dialog.getByLabel(label).fill(value);
    if (word !== undefined) await dialog.getByLabel(/It cannot be undone/).fill(word);
    await until(() => confirm.isEnabled(), 'it is known whom it concerns', 20_000);
    const said = await dialog.innerText();
    await confirm.click();
    await dialog.getByRole('button', { name: 'Close' }).click();
    return said;
  }

  /** Violations of accessibility rules, each with the elements that have them. */
  async violations(): Promise<string[]> {
    const before = this.complaints.length;
    await this.page.evaluate(axe);
    const found = await this.page.evaluate<string[]>(
      `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
         violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 200)).join(' | ')))`,
    );
    // What the tool itself is refused by the policy is no complaint of the page.
    this.complaints.length = before;
    return found;
  }
}

/** Two replicas on a Redis, with clients and traffic, and a browser. */
export class ConsoleRig {
  private readonly closing = new Closing();
  private readonly clients: Socket[] = [];

  private constructor(
    readonly a: TestReplica,
    readonly b: TestReplica,
    readonly redis: TestRedis,
    readonly browser: Browser,
  ) {}

  static async start(): Promise<ConsoleRig> {
    const closing = new Closing();
    try {
      const redis = await closing.started(TestRedis.start());
      const environment = {
        REDIS_URL: redis.url,
        RTC_ADMIN_CALL_TIMEOUT_MS: '1500',
        RTC_WEBSOCKET_MAX_MESSAGE_BYTES: '1500000',
        RTC_WEBSOCKET_TRANSPORT_LIMIT_BYTES: '2000000',
      };
      const a = await TestReplica.start({ ...environment, REPLICA_ID: 'rt-a' });
      closing.add(() => a.end('SIGKILL'));
      const b = await TestReplica.start({ ...environment, REPLICA_ID: 'rt-b' });
      closing.add(() => b.end('SIGKILL'));
      const browser = await launchChromium();
      closing.add(() => browser.close());
      const rig = new ConsoleRig(a, b, redis, browser);
      closing.add(() => Promise.resolve(rig.clients.forEach((client) => client.disconnect())));
      rig.closing.add(() => closing.close());
      return rig;
    } catch (error) {
      await closing.close();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.closing.close();
  }

  /** Opens the console of a replica in a browser of its own. */
  async console(replica: TestReplica, token?: string, viewport = desktop): Promise<ConsolePage> {
    const context = await this.browser.newContext({ viewport });
    const opened = await ConsolePage.open(context, replica);
    if (token !== undefined) await opened.signIn(token);
    return opened;
  }

  /** A client with subscriptions. */
  async client(
    replica: TestReplica,
    user: string,
    topics: readonly string[] = [],
    token = tokenOf(user),
  ): Promise<Socket> {
    const client = await connectClient(replica.url, user, { auth: { token } });
    this.clients.push(client);
    if (topics.length > 0) await emit(client, 'subscribe', { topics });
    return client;
  }
}

export const operatorToken = (role: string) => tokenOf(`olga-${role}`, { roles: [role] });
