import { spawnSync } from 'node:child_process';
import { chromium, type Browser } from 'playwright-core';

const programs = ['chromium', 'chromium-browser', 'google-chrome'];

/** The real browser, without a window. `node scripts/ensure-tools.cjs --chromium` installs it. */
export async function launchChromium(args: readonly string[] = []): Promise<Browser> {
  const executablePath = programs
    .map((program) => spawnSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).stdout.trim())
    .find((path) => path !== '');
  if (executablePath === undefined)
    throw new Error('there is no Chromium: run "node scripts/ensure-tools.cjs --chromium"');
  return chromium.launch({
    executablePath,
    // Playwright switches the back/forward cache off, and it is a part of what is tested.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', ...args],
  });
}
