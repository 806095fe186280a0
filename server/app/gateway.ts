import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import type { Server as SocketIoServer } from 'socket.io';
import type { HookRunner } from '../hooks/hook-runner.js';
import type { Identity } from '../protocol/identity.js';
import type { Storage } from '../storage/storage.js';
import type { Settings } from '../config/schema.js';
import type { ControlState } from '../control/control-state.js';
import { HandshakeAdmission } from '../gateway/handshake/handshake-admission.js';
import type { LogFactory } from '../logging/log.js';
import type { Metrics } from '../metrics/metrics.js';
import { ConnectionGate, type ConnectionGateDependencies } from '../gateway/connection-gate.js';
import { acceptWsClients } from '../gateway/ws/upgrade.js';
import { RefusalLog } from '../gateway/handshake/refusal-log.js';
import { createSocketIo, type Handshakes, type LetIn } from '../gateway/socketio/socketio-server.js';
import type { Limits } from './limits.js';
import type { Tokens } from './tokens.js';

/** What the entrance of a replica is made of. */
export interface EntranceParts {
  readonly settings: Settings;
  readonly http: HttpServer;
  readonly storage: Storage;
  readonly tokens: Tokens;
  readonly switches: ControlState;
  readonly limits: Limits;
  readonly hooks: HookRunner;
  readonly metrics: Metrics;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly logOf: LogFactory;
}

/** What those who have entered are given to. */
export type EntranceTarget = Pick<
  ConnectionGateDependencies,
  'registry' | 'budget' | 'topics' | 'sessions' | 'direct' | 'permissions' | 'router' | 'appendAt' | 'now'
>;

/** Where clients come in, on both wires. */
export interface Entrance {
  readonly io: SocketIoServer;
  /** Begins to let clients in. */
  open(target: EntranceTarget): void;
  /** Admits nobody from now on; who is there stays. */
  stop(): void;
}

/** Puts together what decides on handshakes, and what they come by. */
export function assembleEntrance(parts: EntranceParts): Entrance {
  const { settings, http, tokens, switches, limits, hooks, metrics, addressOf, logOf } = parts;
  const { websocket } = settings;
  const admission = new HandshakeAdmission(
    { addresses: limits.addresses, addressOf },
    { maxConnections: websocket.maxConnections, handshakesPerSec: websocket.handshakesPerSec },
  );
  const refusals = new RefusalLog({
    log: logOf('connection'),
    count: (code) => metrics.countRefused(code),
    addressOf,
    now: () => performance.now(),
  });
  const handshakes: Handshakes = {
    admit: (request) => {
      switches.checkConnect();
      return admission.admit(request);
    },
    isWaiting: (request) => admission.isWaiting(request),
    onRefused: (error, request) => refusals.note(error, request),
  };
  const checkEntry = (identity: Identity) => {
    switches.checkConnect();
    tokens.checkRevoked(identity);
  };
  const letIn: LetIn = (identity, request, wire) => {
    const { userId, roles } = identity;
    const claim = () => limits.userConnections.acquireSlot(userId);
    const asked = hooks.connecting({ userId, roles, address: addressOf(request), wire });
    return asked === undefined ? claim() : asked.then(() => claim() ?? noPlace);
  };
  const transport = {
    heartbeatIntervalMs: websocket.heartbeatIntervalSecs * 1000,
    clientTimeoutMs: websocket.clientTimeoutSecs * 1000,
    transportLimitBytes: websocket.transportLimitBytes,
    allowedOrigins: websocket.allowedOrigins,
  };
  const io = createSocketIo(http, handshakes, {
    ...transport,
    connectTimeoutMs: websocket.connectTimeoutSecs * 1000,
  });
  useAdapter(io, parts);
  let stopJsonClients = () => {};
  return {
    io,
    open: (target) => {
      const { authenticate } = tokens;
      const gate = new ConnectionGate(
        {
          ...target,
          authenticate,
          letIn,
          checkEntry,
          onTransport: admission.entered,
          onLeft: ({ id, identity }, reason) =>
            hooks.disconnected({ connectionId: id, userId: identity.userId, reason }),
          metrics,
          addressOf,
          onRefused: handshakes.onRefused,
          mode: () => switches.mode,
          log: logOf('connection'),
        },
        { maxMessageBytes: websocket.maxMessageBytes },
      );
      gate.open(io);
      stopJsonClients = acceptWsClients(
        http,
        {
          ...handshakes,
          authenticate,
          letIn,
          checkEntry,
          onConnection: (connection) => gate.accept(io, connection),
        },
        transport,
      );
    },
    stop: () => {
      admission.stop();
      stopJsonClients();
    },
  };
}

/** Lets what embedding programs emit, and the Admin UI, reach the clients of all replicas. */
function useAdapter(io: SocketIoServer, { settings, storage }: EntranceParts): void {
  const { adapter } = storage;
  if (adapter === undefined) return;
  io.adapter(
    createAdapter(adapter.publisher, adapter.subscriber, {
      key: `${settings.redis.keyPrefix}:io`,
      publishOnSpecificResponseChannel: true,
    }),
  );
}

/** Given back where no places are counted. */
const noPlace = (): void => {};
