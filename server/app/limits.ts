import type { Settings } from '../config/schema.js';
import type { Storage } from '../storage/storage.js';
import { AnswerBudget } from '../limits/answer-budget.js';
import { BodyBudget } from '../limits/body-budget.js';
import { AddressLimiter } from '../limits/address-limiter.js';
import { CommandLimiter, type CommandRates } from '../limits/command-limiter.js';
import { newLimitCounts, type LimitCounts } from '../limits/limit-counts.js';
import { Talkers } from '../limits/talkers.js';
import { LocalUserRates } from '../limits/local-user-rates.js';
import { UserConnections } from '../limits/user-connections.js';
import { UserQuotas } from '../limits/user-quotas.js';
import { UserLimiter } from '../limits/user-limiter.js';
import type { LogFactory } from '../logging/log.js';
import { systemClock } from '../primitives/clock.js';

/** Parts that the limits need. */
interface LimitParts {
  readonly settings: Settings;
  readonly storage: Storage;
  readonly logOf: LogFactory;
  /** Called for each command. */
  readonly rates: () => CommandRates;
  /** Commands per second of one user, if an operator has limited it. */
  readonly userRate: (userId: string) => number | undefined;
}

/** The limits of a replica. */
export interface Limits {
  readonly counts: LimitCounts;
  readonly commands: CommandLimiter;
  readonly addresses: AddressLimiter;
  readonly userConnections: UserConnections;
  readonly answers: AnswerBudget;
  readonly bodies: BodyBudget;
  readonly quotas: UserQuotas;
  /** Who sends the most. */
  readonly talkers: Talkers;
  close(): void;
}

/** Assembles the limits. */
export function assembleLimits({ settings, storage, logOf, rates, userRate }: LimitParts): Limits {
  const { limits, websocket, outbox } = settings;
  const counts = newLimitCounts();
  const log = logOf('limits');
  const now = () => performance.now();
  const local = new LocalUserRates({ now });
  const users = new UserLimiter({ store: storage.userRates ?? local, local, counts, log, now });
  const userConnections = new UserConnections(
    { store: storage.connectionCounts, counts, log },
    { maxConnections: websocket.maxConnectionsPerUser },
  );
  storage.onUp(() => userConnections.rewrite());
  const answers = new AnswerBudget({ clock: systemClock, log }, { totalBytes: outbox.answerTotalBytes });
  const quotas = new UserQuotas(
    { store: storage.userQuotas, counts: storage.quotaCounts, log, now },
    {
      connectionBytesPerSec: limits.connectionBytesPerSec,
      userBytesPerSec: limits.userBytesPerSec,
      storedBytes: limits.userStoredBytes,
      newTopics: limits.userNewTopics,
      windowMs: limits.userQuotaWindowSecs * 1000,
    },
  );
  const talkers = new Talkers({ now });
  return {
    counts,
    commands: new CommandLimiter(
      { rates, userRate, users, counts, now },
      { abuseRefusals: limits.abuseRefusals },
    ),
    addresses: new AddressLimiter(
      { counts, now },
      {
        connectsPerSec: limits.addressConnectsPerSec,
        maxConnections: websocket.maxConnectionsPerAddress,
        // However few connections a replica may hold, one address cannot hold more than half of them without authenticating.
        maxUnjoined: Math.ceil(websocket.maxConnections / 2),
      },
    ),
    userConnections,
    answers,
    bodies: new BodyBudget({ counts, clock: systemClock }, { limitBytes: limits.httpBodiesBytes }),
    quotas,
    talkers,
    close: () => {
      talkers.close();
      users.close();
      answers.close();
      quotas.close();
    },
  };
}
