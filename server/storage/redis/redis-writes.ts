/** Why Redis refuses writes, for operators. */
export interface WriteRefusal {
  /** Code of the error reply, or `memory`: the service keeps the rest of the memory for operators. */
  readonly by: string;
  readonly reason: string;
  readonly remedy: string;
}

/** State of writes, for `/health` and `/metrics`. */
export interface WriteState {
  readonly writes: 'accepted' | 'refused';
  readonly refused_by: string | null;
  readonly refused_writes: number;
}

const moreMemory =
  'give Redis a larger maxmemory, or keep less: topics.history_size, topics.history_ttl_secs, direct.inbox_ttl_secs';
const refusals: Readonly<Record<string, Omit<WriteRefusal, 'by'>>> = {
  OOM: { reason: 'the memory of Redis is full', remedy: moreMemory },
  memory: { reason: 'the memory of Redis is full, up to what is kept for operators', remedy: moreMemory },
  MISCONF: {
    reason: 'Redis cannot save its data',
    remedy: 'make room on the disk of Redis, and look into the log of Redis',
  },
  READONLY: {
    reason: 'this Redis is a read-only replica',
    remedy: 'let REDIS_URL lead to the primary, or promote this one',
  },
  NOREPLICAS: {
    reason: 'Redis has fewer replicas than it needs for writes',
    remedy: 'start replicas of Redis, or lower its min-replicas-to-write',
  },
  NOPERM: {
    reason: 'the user of Redis may not do what the service needs',
    remedy: 'give the user the rights that rtc redis acl prints',
  },
};
/** In older versions of Redis the code appears inside the error of a script. */
const codes = /\b(OOM|MISCONF|READONLY|NOREPLICAS|NOPERM)\b/;
/** Redis before 7.2 has no code for what its user may not do inside a script: neither commands nor keys nor channels. */
const inScript = /user executing the script can't (?:run|access)/i;
/** The settings of Redis are only read to give advice. */
const ofSettings = /^NOPERM .*'config\b/i;
/** Near its limit of memory, Redis refuses some writes and accepts others. */
const steadyMs = 2000;

/**
 * Whether Redis accepts writes. It may answer every read and refuse every write: then the service is not healthy,
 * though the connection is.
 */
export class RedisWrites {
  private refusedBy: string | undefined;
  private refusedAt = -Infinity;
  private isFull = false;
  private count = 0;
  private shown: string | undefined;
  private readonly listeners: ((refusal: WriteRefusal | undefined) => void)[] = [];

  constructor(private readonly now: () => number = () => performance.now()) {}

  get state(): WriteState {
    const { shown } = this;
    return {
      writes: shown === undefined ? 'accepted' : 'refused',
      refused_by: shown ?? null,
      refused_writes: this.count,
    };
  }

  /** Called when writes begin to be refused; with undefined when they are accepted again. */
  onChange(listener: (refusal: WriteRefusal | undefined) => void): void {
    this.listeners.push(listener);
  }

  /** Called with the text of every error reply. */
  onError(text: string): void {
    if (ofSettings.test(text)) return;
    const code = inScript.test(text) ? 'NOPERM' : codes.exec(text)?.[1];
    if (code === undefined) return;
    this.count++;
    this.refusedBy = code;
    this.refusedAt = this.now();
    this.update();
  }

  /** Called when a write that Redis would refuse was accepted. */
  accepted(): void {
    if (this.refusedBy === undefined || this.now() - this.refusedAt < steadyMs) return;
    this.refusedBy = undefined;
    this.update();
  }

  /** Called with each measurement: whether publishes are refused because the rest of the memory is reserved. */
  measured(isFull: boolean): void {
    if (this.isFull === isFull) return;
    this.isFull = isFull;
    this.update();
  }

  private update(): void {
    const now = this.refusedBy ?? (this.isFull ? 'memory' : undefined);
    const isSame = (now === undefined) === (this.shown === undefined);
    this.shown = now;
    if (isSame) return;
    const refusal = now === undefined ? undefined : { by: now, ...refusals[now]! };
    for (const listener of this.listeners) listener(refusal);
  }
}
