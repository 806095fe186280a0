#!/usr/bin/env node
import './cli/node-check.js';
import './cli/early-signals.js';
import './cli/process-start.js';
import { tokenIssuer } from './app/tokens.js';
import type { TokenIssuer } from './auth/token-issuer.js';
import { greeting } from './cli/greeting.js';
import { limitHeapGrowth } from './cli/heap-growth.js';
import { exitCodes, ProcessEnd } from './cli/process-end.js';
import { startProblem } from './cli/start-problem.js';
import { loadSettings, SettingsError } from './config/load.js';
import { firstStepsFolder } from './app/first-steps.js';
import { Service } from './app/service.js';
import { refuseSplitReplicas } from './app/split-replicas.js';

const processTitle = 'realtime_communication';

/** The last lines of the log wait at most this long for a reader that is stalled. */
const flushLimitMs = 1000;

async function main(): Promise<void> {
  // The name in `ps` and `top`. The kernel keeps 15 characters of it, which `pgrep realtime_comm` finds.
  process.title = processTitle;
  limitHeapGrowth([...process.execArgv, process.env['NODE_OPTIONS'] ?? '']);
  const settings = loadSettings(process.env);
  refuseSplitReplicas(settings, process.env);
  const onDrainRequested = () => end.drainRequested();
  const service = new Service(settings, { slimConnections: true, socketIoUi: true, onDrainRequested });
  const log = service.logger.log('process');
  // A bug in a handler must not end the process and disconnect all other clients.
  process.on('unhandledRejection', (error) => log.error('Unhandled rejection', { error }));
  process.on('uncaughtException', (error) => log.error('Uncaught exception', { error }));

  const { drainDelaySecs, drainWindowSecs, shutdownTimeoutMs } = settings.server;
  const end = new ProcessEnd(
    {
      service,
      log,
      progress: () => service.drainProgress,
      flush: () => service.logger.flushed(flushLimitMs),
      exit: (code) => process.exit(code),
    },
    { limitMs: (drainDelaySecs + drainWindowSecs) * 1000 + shutdownTimeoutMs },
  );
  process.on('SIGTERM', () => end.stop('SIGTERM'));
  process.on('SIGINT', () => end.stop('SIGINT'));
  // PM2 on systems without signals, and with its option `shutdown_with_message`.
  process.on('message', (message) => {
    if (message === 'shutdown') end.stop('shutdown');
  });

  let port: number;
  try {
    port = await service.start();
  } catch (error) {
    // The stop ends the process.
    if (end.isStopping) return;
    await report(error);
    await service.close();
    process.exit(exitCodeOf(error));
  }
  process.send?.('ready');
  if (service.developmentSecret !== undefined) {
    const hasPage = firstStepsFolder(settings) !== undefined;
    greet(port, tokenIssuer(settings, service.developmentSecret), hasPage);
  }
}

/** On standard error, since standard output is the log. */
function greet(port: number, issuer: TokenIssuer, hasPage: boolean): void {
  const token = issuer.access({ userId: 'developer', roles: ['user', 'admin'] }, 12 * 3600);
  process.stderr.write(greeting(port, token, hasPage));
}

/** Resolves when the line is written. What collects the lines may do so later, as PM2 does, or never. */
function report(error: unknown): Promise<void> {
  return new Promise((resolve) => {
    process.stderr.once('error', () => resolve());
    process.stderr.write(`${startProblem(error)}\n`, 'utf8', () => resolve());
    setTimeout(resolve, flushLimitMs);
  });
}

function exitCodeOf(error: unknown): number {
  return error instanceof SettingsError ? exitCodes.settings : exitCodes.start;
}

main().catch(async (error: unknown) => {
  await report(error);
  process.exit(exitCodeOf(error));
});
