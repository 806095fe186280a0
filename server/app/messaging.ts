import type { Server as SocketIoServer } from 'socket.io';
import { Permissions } from '../auth/permissions.js';
import { commandAdmission } from '../commands/command-admission.js';
import { stillAdmitted } from '../commands/still-admitted.js';
import { RequestSizes } from '../commands/request-sizes.js';
import type { CommandRouter, RefusedCommand } from '../commands/router.js';
import { subscribing } from '../commands/subscribe.js';
import { DirectPublisher } from '../direct/direct-publisher.js';
import { DirectService } from '../direct/direct-service.js';
import { InboxSizes } from '../direct/inbox-sizes.js';
import { Confirmations } from '../fanout/confirmations.js';
import { ConnectionRegistry } from '../gateway/connection-registry.js';
import { followRooms } from '../gateway/follow-rooms.js';
import { newMessageIds } from '../log/message-ids.js';
import { NamespaceMembers } from '../gateway/namespaces/namespace-members.js';
import { isAlive } from '../gateway/liveness-probe.js';
import { ReadThrottle } from '../gateway/read-throttle.js';
import { SubscriptionRestore } from '../gateway/restore-subscriptions.js';
import { PresenceRooms } from '../gateway/socketio/presence-rooms.js';
import { PresenceService } from '../presence/presence-service.js';
import { systemClock } from '../primitives/clock.js';
import type { Connection } from '../protocol/connection.js';
import { actions, type Identity } from '../protocol/identity.js';
import { readPayload, readProgramPayload } from '../protocol/payload.js';
import { SessionService } from '../sessions/session-service.js';
import { SubscriptionGate } from '../topics/subscription-gate.js';
import type { TopicHub } from '../topics/topic-hub.js';
import { assembleCommands } from './commands.js';
import { ProgramApi } from './program-api.js';
import type { Foundation } from './foundation.js';
import { assembleTopics } from './topics.js';

/** Topics, sessions, presence and direct messages of a replica, and the commands that use them. */
export interface Messaging {
  readonly registry: ConnectionRegistry;
  /** Sockets in namespaces of the program. */
  readonly members: NamespaceMembers;
  readonly permissions: Permissions;
  readonly topics: TopicHub;
  readonly presence: PresenceService;
  readonly sessions: SessionService;
  readonly direct: DirectService;
  readonly inboxSizes: InboxSizes;
  readonly gate: SubscriptionGate;
  readonly restore: SubscriptionRestore;
  readonly router: CommandRouter;
  /** How long the requests of the router may be. */
  readonly sizes: RequestSizes;
  readonly program: ProgramApi;
  readonly confirmations: Confirmations;
}

interface MessagingParts extends Foundation {
  readonly io: SocketIoServer;
  readonly isDraining: () => boolean;
}

/** Of the fullest inboxes. */
const inboxesKnown = 50;

/** Assembles the path of messages, from the command to the fan-out. */
export function assembleMessaging(parts: MessagingParts): Messaging {
  const {
    changes,
    settings,
    storage,
    metrics,
    tracing,
    tokens,
    control,
    limits,
    supervision,
    logOf,
    io,
    isDraining,
  } = parts;
  const registry = new ConnectionRegistry(io.of('/'));
  const permissions = new Permissions(settings.permissions);
  const confirmations = new Confirmations(storage.bus, undefined, tracing.record);
  const topics = assembleTopics({ ...parts, registry, confirmations });
  confirmations.setFollowed((topic) => topics.isFollowed(topic));
  const presenceRooms = new PresenceRooms(io);
  const presence = new PresenceService({
    store: storage.presence,
    log: logOf('presence'),
    notify: presenceRooms.notify,
  });
  presenceRooms.follow(presence);
  const { tracer } = tracing;
  const direct = new DirectService({
    topics,
    broker: storage.broker,
    confirmations,
    tracer,
    log: logOf('direct'),
  });
  const inboxSizes = new InboxSizes(
    { broker: storage.broker, clock: systemClock },
    {
      messages: settings.direct.inboxSize,
      bytes: settings.direct.inboxBytes,
      names: inboxesKnown,
      everyMs: 5000,
    },
  );
  const { calls } = control;
  const sessions = new SessionService(
    {
      store: storage.sessions,
      topics,
      replicaId: storage.bus.replicaId,
      calls: {
        handle: (name, handler) => calls.handle(name, handler),
        ask: (replica, name, data) => calls.ask(replica, name, data),
        replicas: () => storage.bus.replicas(),
      },
      isAlive: async ({ id }) => {
        const connection = registry.connection(id);
        return connection !== undefined && (await isAlive(connection));
      },
      inboxOf: (connection) => direct.positionOf(connection),
      record: tracing.record,
      log: logOf('sessions'),
      now: Date.now,
    },
    { ttlMs: settings.sessions.ttlSecs * 1000 },
  );
  const gate = new SubscriptionGate(
    {
      topics,
      permissions,
      sessions,
      presence: presenceRooms,
      checkMode: () => control.state.checkCommand(subscribing),
      onSubscribe: supervision.hooks.subscribing,
      onRefused: (connection, topic, { code }) => {
        tracing.record.refused(connection, topic, code);
        tracing.refusals.note({ connection, name: subscribing.name, code, request: { topic } });
      },
    },
    { maxTopicsPerConnection: settings.websocket.maxTopicsPerConnection },
  );
  const { talkers } = limits;
  const admission = commandAdmission({ isDraining, control: control.state, limiter: limits.commands });
  const admit: typeof admission = (connection, command) => {
    talkers.command(connection);
    return admission(connection, command);
  };
  const restore = new SubscriptionRestore({
    isConnected: (connection) => registry.connection(connection.id) === connection,
    gate,
    sessions,
    permissions,
    admit: (connection) => admit(connection, subscribing),
    isLeaving: (connection) => connection.isMoving === true || isDraining(),
    mode: () => control.state.mode,
    log: logOf('sessions'),
  });
  const members = new NamespaceMembers();
  const reads = new ReadThrottle({ clock: systemClock });
  const commandParts = {
    settings,
    gate,
    topics,
    direct: new DirectPublisher({
      topics,
      confirmations,
      onStored: (to, held) => {
        metrics.direct++;
        if (held !== undefined) inboxSizes.added(to, held);
      },
    }),
    presence,
    sessions,
    permissions,
    confirmations,
    authenticate: tokens.authenticate,
    metrics,
    tracer,
    logOf,
    newId: newMessageIds(storage.idTime),
    checkTopic: (topic: string) => control.state.checkTopic(topic),
    readPayload,
    admitBytes: limits.quotas.admitBytes.bind(limits.quotas),
    onQueued: (connection: Connection, topic: string, bytes: number) => {
      talkers.message(connection, bytes);
      talkers.published(topic, bytes);
      reads.published(registry.connection(connection.id), topics.publisher.appendAt(topic));
    },
    onDirect: (connection: Connection, bytes: number) => talkers.message(connection, bytes),
    onCommandRefused: (refused: RefusedCommand) => {
      const { connection, request, name, ran } = refused;
      talkers.refused(connection, (request as { readonly topic?: unknown } | null | undefined)?.topic);
      // The gate has noted the topics.
      if (!(ran && name === subscribing.name)) tracing.refusals.note(refused);
    },
    admit,
    stillAdmitted: stillAdmitted({
      control: control.state,
      checkRevoked: (identity) => tokens.checkRevoked(identity),
    }),
    onRefreshed: async (connection: Connection, former: Identity) => {
      changes.increment();
      gate.identityChanged(connection, former);
      const socket = registry.connection(connection.id)?.socket;
      if (socket !== undefined) members.refreshed(socket, connection.identity);
      await restore.subscribeToken(connection);
    },
  };
  const router = assembleCommands(commandParts);
  const program = new ProgramApi({
    router: assembleCommands({
      ...commandParts,
      permissions: new Permissions([{ role: '*', topics: ['*'], allow: [...actions] }]),
      readPayload: readProgramPayload,
      admitBytes: () => {},
      onQueued: () => {},
      onDirect: () => {},
      onCommandRefused: () => {},
      admit: commandAdmission({ isDraining, control: control.state, limiter: { admit: () => {} } }),
      stillAdmitted: stillAdmitted({ control: control.state, checkRevoked: () => {} }),
    }),
    topics,
    log: logOf('program'),
    clock: systemClock,
  });
  tokens.watch(function* () {
    yield* registry.authenticated();
    yield* members.all();
  });
  followRooms({ registry, topics, presence, sessions });
  storage.onUp(() => presence.restore());
  storage.onUp(() => sessions.rewrite());
  storage.onUp(() => direct.goOn());
  return {
    registry,
    members,
    permissions,
    topics,
    presence,
    sessions,
    direct,
    inboxSizes,
    gate,
    restore,
    router,
    sizes: new RequestSizes(router, settings.websocket),
    program,
    confirmations,
  };
}
