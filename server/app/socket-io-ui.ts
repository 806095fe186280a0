import type { Server as SocketIoServer } from 'socket.io';
import type { AdminCalls } from '../admin/admin-calls.js';
import { UiActions } from '../admin/socket-io-ui/ui-actions.js';
import { UiNamespace } from '../admin/socket-io-ui/ui-namespace.js';
import { UiWatch } from '../admin/socket-io-ui/ui-watch.js';
import type { Settings } from '../config/schema.js';
import { RefusalLog } from '../gateway/handshake/refusal-log.js';
import type { Foundation } from './foundation.js';
import type { Messaging } from './messaging.js';
import type { ServiceOptions } from './service-options.js';

interface SocketIoUiParts extends Foundation, Messaging {
  readonly io: SocketIoServer;
  readonly calls: AdminCalls;
}

/** Sockets that the UI is shown: its tables draw all that it has. */
const socketsLimit = 1000;
/** Pause between two looks at all replicas, in milliseconds. The UI takes a server for dead after ten seconds. */
const pauseMs = 4000;

/** Whether the Socket.IO Admin UI is served. */
export function hasSocketIoUi(
  { admin: { socketIoUi } }: Pick<Settings, 'admin'>,
  { socketIoUi: isStandalone = false }: Pick<ServiceOptions, 'socketIoUi'>,
): boolean {
  return socketIoUi === 'auto' ? isStandalone : socketIoUi === 'on';
}

/** Adds the namespace of the Socket.IO Admin UI. Returns the watch, which is to be closed. */
export function assembleSocketIoUi(parts: SocketIoUiParts): UiWatch {
  const { settings, tokens, addresses, members, metrics, control, logOf, io, calls } = parts;
  const watch = new UiWatch(
    { cluster: control.cluster, now: Date.now },
    { limit: socketsLimit, answerBytes: settings.topics.maxHistoryAnswerBytes, pauseMs },
  );
  const refusals = new RefusalLog({
    log: logOf('connection'),
    count: (code) => metrics.countRefused(code),
    addressOf: addresses.of,
    now: () => performance.now(),
  });
  new UiNamespace({
    authenticate: tokens.authenticate,
    checkRevoked: (identity) => tokens.checkRevoked(identity),
    addressOf: addresses.of,
    members,
    watch,
    actions: new UiActions(calls),
    onRefused: refusals.note,
  }).install(io);
  return watch;
}
