#!/usr/bin/env node
import './cli/process-start.js';
import { tokenIssuer } from './app/tokens.js';
import type { TokenIssuer } from './auth/token-issuer.js';
import { greeting } from './cli/greeting.js';
import { loadSettings, SettingsError } from './config/load.js';
import { refuseSplitReplicas } from './cli/split-replicas.js';
import { Service } from './app/service.js';

/** Exit codes: for invalid settings, and for a failed start (port in use). */
const exitCodes = { settings: 2, start: 1 } as const;

const processTitle = 'realtime_communication';

/** The last lines of the log wait at most this long for a reader that is stalled. */
const flushLimitMs = 1000;

async function main(): Promise<void> {
  // The name in `ps` and `top`. The kernel keeps 15 characters of it, which `pgrep realtime_comm` finds.
  process.title = processTitle;
  const settings = loadSettings(process.env);
  refuseSplitReplicas(settings, process.env);
  const service = new Service(settings, { slimConnections: true });
  const log = service.logger.log('process');
  // A bug in a handler must not end the process and disconnect all other clients.
  process.on('unhandledRejection', (error) => log.error('Unhandled rejection', { error }));
  process.on('uncaughtException', (error) => log.error('Uncaught exception', { error }));

  let stopping = false;
  const stop = (signal: string) => {
    // Some senders signal twice (npm and the terminal, timeout). The second signal must not interrupt the
    // shutdown.
    if (stopping) return;
    stopping = true;
    log.info('Stopping', { signal });
    const limit = setTimeout(() => process.exit(0), settings.server.shutdownTimeoutMs);
    limit.unref();
    void service
      .close()
      .then(() => service.logger.flushed(flushLimitMs))
      .finally(() => process.exit(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // PM2 on systems without signals, and with its option `shutdown_with_message`.
  process.on('message', (message) => {
    if (message === 'shutdown') stop('shutdown');
  });

  const port = await service.start();
  process.send?.('ready');
  if (service.developmentSecret !== undefined) greet(port, tokenIssuer(settings, service.developmentSecret));
}

/** On standard error, since standard output is the log. */
function greet(port: number, issuer: TokenIssuer): void {
  const token = issuer.access({ userId: 'developer', roles: ['user', 'admin'] }, 12 * 3600);
  process.stderr.write(greeting(port, token));
}

main().catch((error: unknown) => {
  const exit = () => process.exit(error instanceof SettingsError ? exitCodes.settings : exitCodes.start);
  process.stderr.once('error', exit);
  // What collects the lines may do so later, as PM2 does.
  process.stderr.write(`${startProblem(error)}\n`, 'utf8', exit);
  setTimeout(exit, flushLimitMs);
});

/** What is wrong, in one line where an operator can mend it; else with the stack. */
function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof SettingsError) return error.message;
  const { code, port } = error as NodeJS.ErrnoException & { readonly port?: number };
  if (code === 'EADDRINUSE') return `port ${port} is in use by another program: set PORT to a free one`;
  return error.stack ?? error.message;
}
