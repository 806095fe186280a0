import { setTimeout as sleep } from 'node:timers/promises';
import type { SharedStore } from '../cluster/shared-store.js';
import type { Log } from '../logging/log.js';
import type { SupervisedChild } from './supervisor.js';
import type { WorkPool } from './work-pool.js';

type Severity = 'info' | 'warning' | 'critical';

/** An event that operators must know about. */
export interface Alert {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly severity: Severity;
  /** For programs: docs/SPEC.md lists them. */
  readonly kind: string;
  readonly message: string;
  readonly replica_id: string;
  readonly details: Readonly<Record<string, unknown>>;
}

interface AlertsDependencies {
  readonly store: SharedStore;
  readonly pool: WorkPool;
  /** Notifies the operators who are connected. */
  readonly announce: (alert: Alert) => void;
  readonly log: Log;
  readonly replicaId: string;
  readonly newId: () => string;
  readonly now: () => number;
}

interface AlertsSettings {
  /** Alerts are posted to this address as JSON; undefined: they are not posted. */
  readonly webhookUrl?: string | undefined;
  /** Wait before the second attempt; it doubles with each. */
  readonly retryMs: number;
}

interface AlertCounts {
  raised: number;
  /** Posts that the webhook accepted. */
  delivered: number;
  /** Alerts that the webhook did not accept after the last attempt. */
  undelivered: number;
}

const key = 'alerts';
const kept = 1000;
const keptHere = 100;
const attempts = 5;
const differencesShown = 20;

/**
 * Alerts are logged, counted, listed for operators on every replica, and posted to a webhook until it accepts
 * them.
 */
export class Alerts {
  readonly counts: AlertCounts = { raised: 0, delivered: 0, undelivered: 0 };
  /** The newest alerts of this replica, for when the store is unreachable. */
  private readonly here: Alert[] = [];
  /** Alerts that the store could not take, oldest first. */
  private unstored: Alert[] = [];

  constructor(
    private readonly dependencies: AlertsDependencies,
    private readonly settings: AlertsSettings,
  ) {}

  raise(severity: Severity, kind: string, message: string, details: Alert['details'] = {}): Alert {
    const { announce, log, replicaId, newId, now } = this.dependencies;
    const alert: Alert = {
      id: newId(),
      at: now(),
      severity,
      kind,
      message,
      replica_id: replicaId,
      details,
    };
    this.counts.raised++;
    this.here.unshift(alert);
    this.here.length = Math.min(this.here.length, keptHere);
    const write = severity === 'info' ? 'info' : severity === 'warning' ? 'warn' : 'error';
    log[write]('Alert', { alert_id: alert.id, severity, kind, reason: message, ...details });
    void this.store(alert);
    announce(alert);
    void this.post(alert);
    return alert;
  }

  /** Stores what the store could not take before. To be called when it is reachable again. */
  storeAgain(): void {
    for (const alert of this.unstored.splice(0)) void this.store(alert);
  }

  /** Raises the alert of an actor, or hook, that failed too often to be restarted. */
  actorStopped({
    id,
    restartCount,
    lastError,
  }: Pick<SupervisedChild, 'id' | 'restartCount' | 'lastError'>): void {
    this.raise('critical', 'actor_stopped', `Actor ${id} stopped due to restart loop`, {
      actor_id: id,
      restart_count: restartCount,
      last_error: lastError,
    });
  }

  /** Raises the alert of replicas that run with other versions or settings, and that of its end. */
  replicasDiffer(differences: readonly string[]): void {
    if (differences.length === 0)
      this.raise('info', 'replicas_agree', 'All replicas run with the same version and settings');
    else
      this.raise('warning', 'replicas_differ', 'Replicas differ in version or settings', {
        differences: differences.slice(0, differencesShown),
      });
  }

  /** The newest first; while the store is unreachable, only those of this replica. */
  async latest(limit: number): Promise<Alert[]> {
    try {
      const records = await this.dependencies.store.latest(key, limit);
      const alerts = records.map(({ fields }) => JSON.parse(fields['alert']!) as Alert);
      // One whose storing was not answered may be there twice.
      return [...new Map(alerts.map((alert) => [alert.id, alert])).values()];
    } catch {
      return this.here.slice(0, limit);
    }
  }

  /** Never rejects. */
  private async store(alert: Alert): Promise<void> {
    const { store, log } = this.dependencies;
    try {
      await store.append(key, { alert: JSON.stringify(alert) }, kept);
    } catch (error) {
      log.warn('Alert not stored', { alert_id: alert.id, error });
      this.unstored.push(alert);
      if (this.unstored.length > keptHere) this.unstored.shift();
    }
  }

  /**
   * Posts until the webhook accepts the alert; the receiver recognises a repetition by the id. Never rejects.
   */
  private async post(alert: Alert): Promise<void> {
    const { webhookUrl: url } = this.settings;
    if (url === undefined) return;
    const { pool, log } = this.dependencies;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        await pool.run((signal) => send(url, alert, signal));
        this.counts.delivered++;
        return;
      } catch (error) {
        log.warn('Webhook failed', { alert_id: alert.id, attempt, error });
        if (attempt < attempts) {
          await sleep(this.settings.retryMs * 2 ** (attempt - 1), undefined, { ref: false });
        }
      }
    }
    this.counts.undelivered++;
    log.error('Webhook given up', { alert_id: alert.id, attempts });
  }
}

async function send(url: string, alert: Alert, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': alert.id },
    body: JSON.stringify(alert),
    redirect: 'error',
    signal,
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`);
}
