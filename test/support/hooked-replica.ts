import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSettings, RefusalError, Service, type Hooks } from '../../server/index.js';

/**
 * A program that embeds the service with hooks, for tests. The fault switch: `onPublish` throws for the
 * topics listed in the file `FAULTS`, one per line, and `onSubscribe` for those after `subscribe `. While it has the line
 * `block`, the event loop is blocked most of the time.
 */
const faultsFile = process.env['FAULTS'] ?? '';
const faults = (): string[] =>
  existsSync(faultsFile) ? readFileSync(faultsFile, 'utf8').split('\n').filter(Boolean) : [];

const hooks: Hooks = {
  async onPublish({ topic, payload, sender }) {
    if (faults().includes(topic)) throw new Error(`made to fail on ${topic}`);
    switch (topic) {
      case 'forbidden':
        throw new RefusalError('forbidden', `no messages of ${sender}`);
      case 'hanging':
        return new Promise<never>(() => {});
      case 'stamped':
        return { payload: { original: payload, stamped: true } };
      case 'too.large':
        return { payload: 'x'.repeat(100_000) };
      case 'uneven':
        // Later messages take less time.
        await sleep(40 - 4 * Number((payload as { n: number }).n));
    }
    return undefined;
  },
  onSubscribe({ topic, userId }) {
    if (faults().includes(`subscribe ${topic}`)) throw new Error(`made to fail on ${topic}`);
    if (topic === 'secret' && userId !== 'ann') throw new RefusalError('forbidden', 'a secret topic');
  },
  onConnect({ userId }) {
    if (userId === 'banned') throw new RefusalError('forbidden', 'you are banned');
  },
  onDisconnect({ userId, reason }) {
    process.stdout.write(`left: ${userId}: ${reason}\n`);
  },
};

const blockedMs = 600;

/** A program that computes where it should not. */
function block(): void {
  if (!faults().includes('block')) return;
  const end = performance.now() + blockedMs;
  while (performance.now() < end);
}

async function main(): Promise<void> {
  const service = new Service(loadSettings(process.env), { hooks });
  process.on('SIGTERM', () => void service.close().then(() => process.exit(0)));
  await service.start();
  setInterval(block, 200);
}

void main();
