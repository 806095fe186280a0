import type { StillAdmitted } from '../commands/still-admitted.js';
import type { Connection } from '../protocol/connection.js';
import type { Identity } from '../protocol/identity.js';
import type { Permissions } from '../auth/permissions.js';
import type { Command } from '../commands/command.js';
import { directCommand } from '../commands/direct.js';
import { historyCommand } from '../commands/history.js';
import { missedCommand } from '../commands/missed.js';
import { pingCommand } from '../commands/ping.js';
import { presenceCommand } from '../commands/presence.js';
import { publishCommand } from '../commands/publish.js';
import { refreshCommand } from '../commands/refresh.js';
import { CommandOrder } from '../commands/command-order.js';
import { systemClock } from '../primitives/clock.js';
import { CommandRouter, type CommandRouterDependencies, type RefusedCommand } from '../commands/router.js';
import { publishRecord } from '../commands/publish-record.js';
import { refusedTrace } from '../commands/refused-trace.js';
import { subscribeCommand } from '../commands/subscribe.js';
import { unsubscribeCommand } from '../commands/unsubscribe.js';
import type { Settings } from '../config/schema.js';
import type { Confirmations } from '../fanout/confirmations.js';
import type { DirectSender } from '../direct/direct-sender.js';
import type { PresenceService } from '../presence/presence-service.js';
import type { SessionService } from '../sessions/session-service.js';
import { payloadBytes, type UserQuotas } from '../limits/user-quotas.js';
import type { LogFactory } from '../logging/log.js';
import type { MessageTracer } from '../tracing/message-tracer.js';
import type { Metrics } from '../metrics/metrics.js';
import type { SubscriptionGate } from '../topics/subscription-gate.js';
import type { readPayload } from '../protocol/payload.js';
import type { Topics } from '../topics/topics.js';

/** Parts that the commands need. */
interface CommandParts {
  readonly settings: Settings;
  readonly gate: SubscriptionGate;
  readonly topics: Topics;
  readonly direct: DirectSender;
  readonly presence: PresenceService;
  readonly sessions: SessionService;
  readonly permissions: Permissions;
  readonly confirmations: Confirmations;
  readonly authenticate: (token: string) => Identity;
  /** Called when a connection has a new identity, with the one that it had. */
  readonly onRefreshed: (connection: Connection, former: Identity) => Promise<void>;
  readonly metrics: Metrics;
  readonly tracer: MessageTracer;
  /** Refuses publishes to a topic that an operator has frozen. */
  readonly checkTopic: (topic: string) => void;
  /** Checks payloads and makes them texts. */
  readonly readPayload: typeof readPayload;
  /** Counts the bytes of a payload; throws to refuse it. */
  readonly admitBytes: UserQuotas['admitBytes'];
  /** Called with each publish that waits for its append. */
  readonly onQueued: (connection: Connection, topic: string, bytes: number) => void;
  /** Called with the bytes of each direct message. */
  readonly onDirect: (connection: Connection, bytes: number) => void;
  /** Called with each command that is refused. */
  readonly onCommandRefused: (refused: RefusedCommand) => void;
  /** Makes the ids of messages. */
  readonly newId: () => string;
  readonly logOf: LogFactory;
  /** Refuses commands that a limit or a mode forbids, see {@link CommandRouterDependencies}. */
  readonly admit: CommandRouterDependencies['admit'];
  /** Refuses commands that have waited, and would not be admitted now. */
  readonly stillAdmitted: StillAdmitted;
}

/** Assembles the commands of clients. */
export function assembleCommands(parts: CommandParts): CommandRouter {
  const { settings, gate, topics, permissions, confirmations, presence, sessions, metrics, tracer, newId } =
    parts;
  const limits = {
    maxBytes: settings.websocket.maxMessageBytes,
    maxDepth: settings.websocket.maxPayloadDepth,
    confirmTimeoutMs: settings.direct.confirmTimeoutMs,
  };
  const commands = [
    subscribeCommand({ gate }),
    unsubscribeCommand({ gate, stored: (connection) => sessions.stored(connection) }),
    publishCommand(
      {
        topics,
        permissions,
        confirmations,
        newId,
        tracer,
        checkTopic: parts.checkTopic,
        stillAdmitted: parts.stillAdmitted,
        readPayload: parts.readPayload,
        admitBytes: parts.admitBytes,
        onQueued: parts.onQueued,
        onPublished: publishRecord(metrics, parts.logOf('routing')),
      },
      limits,
    ),
    directCommand(
      {
        direct: parts.direct,
        permissions,
        newId,
        stillAdmitted: parts.stillAdmitted,
        readPayload: parts.readPayload,
        admitBytes: (connection, json, attachments) => {
          parts.admitBytes(connection, json, attachments);
          parts.onDirect(connection, payloadBytes(json, attachments));
        },
        tracer,
      },
      limits,
    ),
    historyCommand({ topics, permissions }, settings.topics),
    missedCommand(
      {
        topics,
        heldBy: (connection) => gate.heldBy(connection),
        permissions,
        sessionTopics: (id, userId) => sessions.topicsOf(id, userId),
      },
      { ...settings.topics, maxTopicsPerConnection: settings.websocket.maxTopicsPerConnection },
    ),
    presenceCommand({ presence, permissions }, settings.topics),
    refreshCommand({ verify: parts.authenticate, onRefreshed: parts.onRefreshed }),
    pingCommand(Date.now),
  ] as Command[];
  const traceRefused = refusedTrace(tracer, newId);
  return new CommandRouter({
    commands,
    order: new CommandOrder({ clock: systemClock }),
    log: parts.logOf('commands'),
    admit: parts.admit,
    stillAdmitted: parts.stillAdmitted,
    onRefused: (refusal) => {
      metrics.countRefused(refusal.code);
      traceRefused(refusal);
      parts.onCommandRefused(refusal);
    },
  });
}
