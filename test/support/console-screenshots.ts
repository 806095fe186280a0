import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { emit } from './clients.js';
import { ConsoleRig, operatorToken, type ConsolePage } from './console-rig.js';
import { root } from './root.js';
import { smallPng } from './small-png.js';
import { until } from './wait.js';

// Takes a picture of every screen of the console, light and dark, on a desktop and a phone: `npm run screenshots`.

const folder = join(root, 'docs', 'images');
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 780 } } as const;
const themes = ['light', 'dark'] as const;
/** Time for the charts to get a shape, in milliseconds. */
const trafficMs = 40_000;

async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const rig = await ConsoleRig.start();
  let traffic: NodeJS.Timeout | undefined;
  try {
    const publisher = await rig.client(rig.a, 'billing', ['orders.eu']);
    const topics = ['prices.fx', 'news', 'orders.eu', 'chat.support', 'scores.live'];
    for (let n = 0; n < 60; n++)
      await rig.client(
        n % 3 === 0 ? rig.a : rig.b,
        `user-${n % 45}`,
        topics.filter((_, t) => n % (t + 1) === 0),
      );
    const console = await rig.console(rig.a, operatorToken('admin'));
    const end = Date.now() + trafficMs;
    for (let n = 0; Date.now() < end; n++) {
      const topic = topics[n % 4 === 0 ? n % topics.length : 0]!;
      await emit(publisher, 'publish', {
        topic,
        payload: { pair: 'EURUSD', bid: 1.0842 + n / 1e6 },
        trace: n % 50 === 0,
      });
      await sleep(10 + 25 * (1 + Math.sin(n / 90)));
    }
    const first = (await rig.client(rig.b, 'ann', ['news', 'prices.fx'])).id!;
    const ann = await rig.client(rig.b, 'ann');
    await emit(ann, 'publish', { topic: '$orders', payload: 1 });
    for (let n = 0; n < 3; n++) await emit(ann, 'history', { topic: 'news', limit: -1 });
    const { id = '' } = await emit(publisher, 'publish', {
      topic: 'news',
      payload: { headline: 'open' },
      trace: true,
    });
    for (const [to, count] of [
      ['carl', 40],
      ['dora', 7],
    ] as const)
      for (let n = 0; n < count; n++)
        await emit(publisher, 'direct', { to, payload: { invoice: n }, confirm: 'stored' });
    await console.go('user/user-7');
    await console.act('Limit the user', 'it polls the prices');
    await console.go('topic/orders.eu');
    await console.act('Freeze', 'the order service is being moved');
    const screens: Record<string, string> = {
      ...{
        overview: '',
        talkers: 'talkers',
        topics: 'topics',
        topic: 'topic/prices.fx',
        users: 'users',
        user: 'user/ann',
        connections: 'connections',
      },
      ...{
        connection: `connection/${first}`,
        messages: 'messages',
        message: `message/${id}?user=ann`,
        actors: 'actors',
        sessions: 'sessions',
      },
      ...{ audit: 'audit', settings: 'settings', search: 'search/user-1' },
    };
    // Charts and rates of what happens while the pictures are taken.
    traffic = setInterval(
      () => publisher.emit('publish', { topic: 'prices.fx', payload: { pair: 'EURUSD', bid: 1.0842 } }),
      50,
    );
    for (const theme of themes)
      for (const [size, viewport] of Object.entries(sizes)) {
        await console.page.emulateMedia({ colorScheme: theme });
        await console.page.setViewportSize(viewport);
        for (const [name, screen] of Object.entries(screens))
          await take(console, screen, `${name}-${theme}-${size}`);
        await console.go('user/ann');
        await console.page.getByRole('button', { name: 'Disconnect…' }).click();
        await until(
          async () => (await console.page.getByText('Counting whom').count()) === 0,
          'it is counted',
        );
        await shoot(console, `dialog-${theme}-${size}`);
        await console.page.keyboard.press('Escape');
      }
    const out = await rig.console(rig.a);
    await shoot(out, 'sign-in-light-desktop');
  } finally {
    clearInterval(traffic);
    await rig.stop();
  }
}

async function take(console: ConsolePage, screen: string, name: string): Promise<void> {
  await console.go(screen);
  await until(
    async () => (await console.page.locator('.skeleton').count()) === 0,
    `${screen} is read`,
    20_000,
  );
  // The charts of one user, topic or connection begin with the screen.
  await sleep(/^(topic|user|connection)\//.test(screen) ? 9000 : 300);
  await shoot(console, name);
}

async function shoot({ page }: ConsolePage, name: string): Promise<void> {
  const picture = await page.screenshot({ animations: 'disabled', caret: 'hide' });
  writeFileSync(join(folder, `console-${name}.png`), smallPng(picture));
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
