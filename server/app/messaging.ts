import type { Server as SocketIoServer } from 'socket.io';
import { Permissions } from '../auth/permissions.js';
import { commandAdmission } from '../commands/command-admission.js';
import type { CommandRouter } from '../commands/router.js';
import { DirectService } from '../direct/direct-service.js';
import { Confirmations } from '../fanout/confirmations.js';
import { ConnectionRegistry } from '../gateway/connection-registry.js';
import { followRooms } from '../gateway/follow-rooms.js';
import { ReadThrottle } from '../gateway/read-throttle.js';
import { PresenceRooms } from '../gateway/socketio/presence-rooms.js';
import { PresenceService } from '../presence/presence-service.js';
import { systemClock } from '../primitives/clock.js';
import { SessionService } from '../sessions/session-service.js';
import type { TopicHub } from '../topics/topic-hub.js';
import { assembleCommands } from './commands.js';
import type { Foundation } from './foundation.js';
import { assembleTopics } from './topics.js';

/** Topics, sessions, presence and direct messages of a replica, and the commands that use them. */
export interface Messaging {
  readonly registry: ConnectionRegistry;
  readonly permissions: Permissions;
  readonly topics: TopicHub;
  readonly presence: PresenceService;
  readonly sessions: SessionService;
  readonly direct: DirectService;
  readonly router: CommandRouter;
}

interface MessagingParts extends Foundation {
  readonly io: SocketIoServer;
  readonly isDraining: () => boolean;
}

/** Assembles the path of messages, from the command to the fan-out. */
export function assembleMessaging(parts: MessagingParts): Messaging {
  const { settings, storage, metrics, tracing, tokens, control, limits, logOf, io, isDraining } = parts;
  const registry = new ConnectionRegistry(io.of('/'));
  const permissions = new Permissions(settings.permissions);
  const confirmations = new Confirmations(storage.bus);
  const topics = assembleTopics({ ...parts, registry, confirmations });
  const presenceRooms = new PresenceRooms(io);
  const presence = new PresenceService({
    store: storage.presence,
    bus: storage.bus,
    log: logOf('presence'),
    notify: presenceRooms.notify,
  });
  const sessions = new SessionService({
    store: storage.sessions,
    topics,
    log: logOf('sessions'),
    now: Date.now,
  });
  const { tracer } = tracing;
  const direct = new DirectService({
    topics,
    broker: storage.broker,
    confirmations,
    tracer,
    log: logOf('direct'),
    onStored: () => metrics.direct++,
  });
  const reads = new ReadThrottle({ clock: systemClock });
  const router = assembleCommands({
    settings,
    presenceRooms,
    topics,
    direct,
    presence,
    sessions,
    permissions,
    confirmations,
    authenticate: tokens.authenticate,
    metrics,
    tracer,
    logOf,
    checkTopic: (topic) => control.state.checkTopic(topic),
    admitBytes: (connection, json, attachments) => limits.quotas.admitBytes(connection, json, attachments),
    onQueued: ({ id }, topic) => reads.published(registry.connection(id), topics.publisher.appendAt(topic)),
    admit: commandAdmission({ isDraining, control: control.state, limiter: limits.commands }),
  });
  tokens.watch(() => registry.all());
  followRooms({ registry, topics, presence });
  storage.onUp(() => presence.rewrite());
  return { registry, permissions, topics, presence, sessions, direct, router };
}
