import { alertNotifier } from '../admin/notifications/alert-notifier.js';
import { developmentSecret } from '../auth/development-secret.js';
import { ReplicaDifferences } from '../cluster/replica-differences.js';
import { newReplicaId, type ReplicaIdentity } from '../cluster/replica-identity.js';
import type { Settings } from '../config/schema.js';
import { sharedSettings } from '../config/shared-settings.js';
import { ClientAddresses } from '../gateway/handshake/client-addresses.js';
import type { Hooks } from '../hooks/hooks.js';
import { LoggerFactory } from '../logging/logger.js';
import { Metrics } from '../metrics/metrics.js';
import { ChangeCount } from '../primitives/change-count.js';
import { openStorage, type Storage } from '../storage/storage.js';
import { version } from '../../shared/version.js';
import { assembleControl, type Control } from './control.js';
import { assembleLimits, type Limits } from './limits.js';
import { assembleSupervision, type Supervision } from './supervision.js';
import { assembleTokens, type Tokens } from './tokens.js';
import { assembleTracing, type Tracing } from './tracing.js';

/** Parts that do not depend on connections and messages. All other parts are built on them. */
export interface Foundation {
  readonly settings: Settings;
  readonly replicaId: string;
  readonly logger: LoggerFactory;
  readonly logOf: LoggerFactory['log'];
  readonly metrics: Metrics;
  /** The secret generated for this run if the settings have none. */
  readonly generatedSecret: string | undefined;
  readonly storage: Storage;
  readonly tokens: Tokens;
  readonly control: Control;
  readonly limits: Limits;
  readonly supervision: Supervision;
  readonly tracing: Tracing;
  readonly addresses: ClientAddresses;
  /** Changes of what decides who may publish: switches, revocations, identities, disconnected clients. */
  readonly changes: ChangeCount;
}

/** Whether it is known what operators have switched off and revoked. */
export function knowsSwitches({ control, tokens }: Pick<Foundation, 'control' | 'tokens'>): boolean {
  return control.map.isKnown && tokens.isKnown();
}

/** @throws SettingsError if the settings are inconsistent */
export function assembleFoundation(
  settings: Settings,
  replicaId: string,
  options: { readonly logger?: LoggerFactory; readonly hooks?: Hooks },
): Foundation {
  const logger = options.logger ?? new LoggerFactory(settings.logging);
  const logOf = logger.log;
  const generatedSecret = developmentSecret(settings);
  const secret = settings.auth.jwtSecret ?? generatedSecret;
  const identity: ReplicaIdentity = {
    id: newReplicaId(replicaId),
    name: replicaId,
    version,
    settings: sharedSettings(settings, secret),
  };
  const storage = openStorage({ identity, logOf, now: Date.now }, settings);
  const parts = { settings, replicaId, storage, logger, logOf };
  const tokens = assembleTokens({ ...parts, secret });
  const control = assembleControl(parts);
  const changes = new ChangeCount();
  tokens.revocations.onRevoked(changes.increment);
  control.state.onChange(changes.increment);
  const announce = alertNotifier(control.cluster);
  const supervision = assembleSupervision({ ...parts, hooks: options.hooks, announce });
  const alert = (found: readonly string[]) => supervision.alerts.replicasDiffer(found);
  const differences = new ReplicaDifferences({ log: logOf('cluster'), alert }, identity);
  storage.onReplicas((others) => differences.compare(others));
  return {
    ...parts,
    metrics: new Metrics(),
    generatedSecret,
    tokens,
    control,
    limits: assembleLimits({
      ...parts,
      rates: () => control.state.rates,
      userRate: (userId) => control.userLimits.rateOf(userId),
    }),
    supervision,
    tracing: assembleTracing({ ...parts, switches: control.map }),
    changes,
    addresses: new ClientAddresses(settings.server.trustedProxies, logOf('connection')),
  };
}
