import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Foundation } from './foundation.js';
import { claimReplicaName } from './replica-name.js';
import { warnOfDangers } from './setting-warnings.js';
import { splitReplicaProblem } from './split-replicas.js';

interface StartedParts {
  readonly foundation: Foundation;
  readonly http: HttpServer;
  /** Adds the last routes. */
  readonly openHttp: () => void;
  /** Aborted when the service is closed. */
  readonly closed: AbortSignal;
}

/** The service listens when its store answers, or after this time, in milliseconds. */
const readyLimitMs = 3000;

/** The service was closed before it listened. */
export class ServiceClosedError extends Error {
  override readonly name = 'ServiceClosedError';

  constructor() {
    super('the service has been closed');
  }
}

/**
 * Connects to the store and listens. Resolves to the port.
 *
 * @throws ServiceClosedError if the service is closed meanwhile; SettingsError if `hooks.module` cannot be loaded; the error of Node if it
 * cannot listen
 */
export async function startUp({ foundation, http, openHttp, closed }: StartedParts): Promise<number> {
  const { settings, storage, control, tokens, tracing, supervision, replicaId, generatedSecret, logOf } =
    foundation;
  openHttp();
  await unlessClosed(supervision.hookPool?.open() ?? Promise.resolve(), closed);
  storage.start();
  await unlessClosed(storage.whenReady(readyLimitMs), closed);
  if (settings.server.replicaId !== undefined)
    await unlessClosed(claimReplicaName({ storage, log: logOf('cluster') }), closed);
  await unlessClosed(Promise.all([control.map.read(), tokens.read(), tracing.spans.open()]), closed);
  const isAlone = settings.redis.url === undefined;
  await listen(http, { ...settings.server, isAlone }, closed);
  const { port } = http.address() as AddressInfo;
  const log = logOf('service');
  log.info('Listening', { port, replica_id: replicaId, storage: isAlone ? 'memory' : 'redis' });
  warnOfDangers(settings, generatedSecret !== undefined, log);
  return port;
}

/**
 * TCP connections that may wait until they are accepted; Node accepts one in each turn of the event loop. While they
 * are too many, the kernel drops those of everybody, and clients try again after a second. Linux allows 4096 by default (`net.core.somaxconn`).
 */
const backlog = 4096;

interface ListenSettings {
  readonly host: string;
  readonly port: number;
  /** There are no other replicas. */
  readonly isAlone: boolean;
}

async function listen(
  http: HttpServer,
  { host, port, isAlone }: ListenSettings,
  closed: AbortSignal,
): Promise<void> {
  // The server of a program may listen already.
  if (http.listening) return;
  const listening = new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    // The processes of a cluster would share the port.
    http.listen({ port, host, exclusive: isAlone, backlog }, resolve);
  });
  // The name of a host is looked up first, and meanwhile nothing can be closed.
  void listening.then(
    () => closed.aborted && http.close(),
    () => {},
  );
  await unlessClosed(listening, closed).catch((error: unknown) => {
    throw isAlone ? splitReplicaProblem(error, port) : error;
  });
}

/** Rejects when the service is closed meanwhile. */
function unlessClosed<Value>(work: Promise<Value>, closed: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new ServiceClosedError());
    if (closed.aborted) stop();
    else closed.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => closed.removeEventListener('abort', stop));
  });
}
