import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorReply } from 'redis';
import { RefusalError } from '../../../shared/errors.js';
import {
  positionGraceMs,
  type AppendEntry,
  type AppendReceipt,
  type Durability,
  type InboxShares,
  type LogSize,
  type Retention,
} from '../../log/broker.js';
import { logIsFull, refusedReceipt, shareIsUsedUp } from '../../log/full-log.js';
import type { Log } from '../../logging/log.js';
import { RedisDurability } from './redis-durability.js';
import { ResponseLostError } from './redis-commands.js';
import type { RedisProcess } from './redis-process.js';
import { RedisScript } from './redis-script.js';
import type { RedisArgument, RedisNode, RedisStore } from './redis-store.js';
import type { SeenPositions } from './seen-positions.js';
import type { TopicKeys } from './topic-keys.js';

interface RedisAppendsDependencies {
  readonly link: RedisStore;
  readonly keys: TopicKeys;
  readonly seen: SeenPositions;
  readonly retentionOf: (topic: string) => Retention;
  readonly freshEpoch: () => string;
  /** Converts an error of Redis to the error for the caller. */
  readonly refusal: (error: unknown, topic: string) => unknown;
  readonly log: Log;
  readonly now: () => number;
}

interface RedisAppendsSettings {
  /** The outcome of an append whose response was lost is looked up for this long. */
  readonly outcomeLimitMs: number;
  /** Redis replicas that must hold an append before it is acknowledged as `replicated`; 0: none. */
  readonly waitReplicas: number;
  /** Appends that fewer replicas hold are refused. */
  readonly waitReplicasStrict: boolean;
}

/** One batch of one topic, until the script has answered. */
interface Append {
  readonly topic: string;
  readonly entries: readonly AppendEntry[];
  readonly number: number;
  readonly bytes: number;
  /** The position of the log that this replica had seen when it was sent. */
  seen: string;
  readonly resolve: (receipts: AppendReceipt[]) => void;
  readonly reject: (error: unknown) => void;
}

const resolveRetryMs = 50;
/** Redis identifies itself anew within this time, if it is there. */
const identifyLimitMs = 1000;
/**
 * A call of the script blocks Redis for about 25 µs per topic: these limits keep a call to a few
 * milliseconds.
 */
const topicsPerCall = 50;
const bytesPerCall = 512 * 1024;
/** From this size on, an entry is not worth to be in memory twice. */
const longBytes = 4096;

/**
 * Appends to the logs in Redis, see `lua/append.lua`. All appends that start in the same turn, of any topics,
 * share one call of the script; in a Redis Cluster those of one slot do.
 */
export class RedisAppends {
  private readonly appendScript = new RedisScript('append');
  private readonly resolveScript = new RedisScript('resolve');
  /** Identifies this process in the scripts. A replica that restarts is a new writer. */
  private readonly writer = randomBytes(6).toString('base64url');
  private batchNumber = 0;
  private gathered: Append[] = [];
  private closed = false;
  private notPublishedLogged = false;

  constructor(
    private readonly dependencies: RedisAppendsDependencies,
    private readonly settings: RedisAppendsSettings,
  ) {}

  /** See `Broker.append`. */
  append(topic: string, entries: readonly AppendEntry[]): Promise<AppendReceipt[]> {
    return new Promise((resolve, reject) => {
      let bytes = 0;
      for (const { entry } of entries) bytes += entry.length;
      if (this.gathered.length === 0) queueMicrotask(() => this.sendGathered());
      this.gathered.push({ topic, entries, number: ++this.batchNumber, bytes, seen: '-', resolve, reject });
    });
  }

  close(): void {
    this.closed = true;
  }

  private sendGathered(): void {
    const { gathered } = this;
    this.gathered = [];
    if (!this.dependencies.link.isCluster) {
      this.sendParts(gathered);
      return;
    }
    const { link, keys } = this.dependencies;
    const bySlot = new Map<number, Append[]>();
    for (const append of gathered) {
      const slot = link.slotOf(keys.log(append.topic));
      const others = bySlot.get(slot);
      if (others === undefined) bySlot.set(slot, [append]);
      else others.push(append);
    }
    for (const appends of bySlot.values()) this.sendParts(appends);
  }

  private sendParts(appends: readonly Append[]): void {
    let from = 0;
    let bytes = 0;
    appends.forEach((append, i) => {
      if (i > from && (i - from === topicsPerCall || bytes + append.bytes > bytesPerCall)) {
        void this.send(appends.slice(from, i));
        from = i;
        bytes = 0;
      }
      bytes += append.bytes;
    });
    void this.send(from === 0 ? appends : appends.slice(from));
  }

  /** Never rejects: each append gets its own outcome. */
  private async send(appends: readonly Append[]): Promise<void> {
    const { link, keys, refusal } = this.dependencies;
    try {
      await link.at(keys.log(appends[0]!.topic), (node) => this.sendTo(node, appends));
    } catch (error) {
      for (const append of appends) append.reject(refusal(error, append.topic));
    }
  }

  /** Rejects if nothing was appended. `again`: Redis is identified anew since the last attempt. */
  private async sendTo(node: RedisNode, appends: readonly Append[], again = false): Promise<void> {
    const { redis } = node;
    if (redis === undefined) throw this.dependencies.link.unavailable();
    const call = this.callOf(appends, redis);
    const { waitReplicas, waitReplicasStrict } = this.settings;
    const isProbed = waitReplicas > 0 || redis.fsyncAlways;
    const probe = isProbed ? new RedisDurability(node, redis, waitReplicas) : undefined;
    let answers: string[];
    try {
      answers = await this.appendScript.run<string[]>(node, call.keys, call.args, 'strings', probe?.ask);
    } catch (error) {
      if (!again && error instanceof ErrorReply && error.message.includes('OTHERHISTORY')) {
        await node.recheckHistory(identifyLimitMs);
        return this.sendTo(node, appends, true);
      }
      if (!(error instanceof ResponseLostError)) throw error;
      for (const append of appends) void this.resolve(append, redis);
      return;
    }
    const reached = probe === undefined ? undefined : await probe.reached();
    const isRefused = waitReplicasStrict && reached?.tooFewReplicas === true;
    for (let i = 0; i < appends.length; i++) {
      if (isRefused && isReceipt.test(answers[i]!)) appends[i]!.reject(this.notReplicated());
      else this.settle(appends[i]!, answers[i]!, reached?.durability ?? 'stored');
    }
  }

  /** Keys and arguments, as the header of the script describes them. */
  private callOf(
    appends: readonly Append[],
    { runId, histories }: RedisProcess,
  ): { keys: string[]; args: RedisArgument[] } {
    const { keys: names, seen, retentionOf, freshEpoch, now } = this.dependencies;
    const keys: string[] = [];
    const blobs: Buffer[] = [];
    const retentions: Retention[] = [];
    let lines = '';
    let keyedLines = '';
    for (const append of appends) {
      const { topic, entries, number, bytes } = append;
      append.seen = seen.of(topic);
      keys.push(names.log(topic), names.meta(topic));
      let lengths = '';
      let keyed = '';
      let keyCount = 0;
      for (let i = 0; i < entries.length; i++) {
        const { id, entry, key, keyOwner } = entries[i]!;
        blobs.push(entry);
        lengths += ` ${entry.length}`;
        if (key === undefined) continue;
        keys.push(names.idempotency(topic, key));
        keyed += keyOwner === undefined ? `${i + 1}:${id} ` : `${i + 1}:${id}:${ownerMark(keyOwner)} `;
        keyCount++;
      }
      if (keyCount > 0) keyedLines += `${keyed}\n`;
      const retention = retentionOf(topic);
      let which = retentions.indexOf(retention);
      if (which < 0) which = retentions.push(retention) - 1;
      const mustExist = entries.every(({ noNewTopic }) => noNewTopic !== undefined);
      lines += `${which + 1}${mustExist ? '!' : ''} ${number} ${bytes} ${keyCount} ${append.seen}${lengths}\n`;
    }
    const args = [
      `${runId} ${histories.join()} ${this.writer} ${now()} ${freshEpoch()} ${names.channelRule}`,
      lines,
      blobs.length === 1 ? blobs[0]! : joined(appends, blobs),
      keyedLines,
      ...retentions.map(
        ({ historySize, historyTtlMs, idempotencyMs, fullAt, shares }) =>
          `${historySize} ${historyTtlMs} ${idempotencyMs} ${historyTtlMs + positionGraceMs} ${fullAt} ` +
          (shares === undefined ? '0 0 0' : `${shares.bytes} ${shares.senderMessages} ${shares.senderBytes}`),
      ),
    ];
    return { keys, args };
  }

  private settle(append: Append, answer: string, durability: Durability): void {
    const { link, refusal } = this.dependencies;
    if (answer === 'stale' || answer === 'cancelled') append.reject(link.unavailable());
    else if (answer === 'absent')
      append.resolve(append.entries.map(({ id, noNewTopic }) => refusedReceipt(id, noNewTopic!())));
    else if (answer === 'full') {
      this.dependencies.retentionOf(append.topic).shares?.onFull?.(append.entries.length);
      append.reject(logIsFull());
    } else if (answer.startsWith('error ')) {
      const text = answer.slice(6);
      // The answer of the script is none of Redis: the link does not see that it is a refusal.
      link.writes.onError(text);
      append.reject(refusal(new Error(text), append.topic));
    } else append.resolve(this.receipts(append, answer, durability));
  }

  private receipts({ topic, entries }: Append, answer: string, durability: Durability): AppendReceipt[] {
    const sharesOf = () => this.dependencies.retentionOf(topic).shares!;
    const receipts = readReceipts(answer, entries, durability, sharesOf);
    if (answer.includes(' -1 ')) this.notPublished(topic);
    for (let i = receipts.length - 1; i >= 0; i--) {
      const { epoch, sequence, duplicate, refusal } = receipts[i]!;
      if (duplicate || refusal !== undefined) continue;
      this.dependencies.seen.note(topic, epoch, sequence);
      break;
    }
    return receipts;
  }

  /** Subscribers find such messages when they compare their position, which takes long. */
  private notPublished(topic: string): void {
    if (this.notPublishedLogged) return;
    this.notPublishedLogged = true;
    this.dependencies.log.error(
      'Redis stores messages, but refuses to publish them: subscribers receive them late',
      {
        topic,
        remedy: 'allow PUBLISH on the channels that begin with redis.key_prefix, in the ACL of Redis',
      },
    );
  }

  /**
   * Looks up the outcome of a batch whose response was lost, until it is known. If another Redis answers, or one that has
   * lost what this replica has seen of the log, subscribers may have received what that one does not have any more.
   */
  private async resolve(append: Append, sentTo: RedisProcess): Promise<void> {
    const { link, now, retentionOf, keys } = this.dependencies;
    const { topic, number, seen } = append;
    const until = performance.now() + this.settings.outcomeLimitMs;
    while (!this.closed && performance.now() < until) {
      try {
        const ttl = String(retentionOf(topic).historyTtlMs + positionGraceMs);
        const args = [this.writer, String(number), String(now()), ttl, seen];
        let isSame = false;
        const answer = await link.at(keys.meta(topic), async (node) => {
          const found = await this.resolveScript.run<string>(node, [keys.meta(topic)], args);
          isSame = node.redis?.histories.includes(sentTo.histories[0]!) === true;
          return found;
        });
        if (answer === 'lost' || (answer === 'cancelled' && !isSame)) break;
        if (this.settings.waitReplicasStrict && isReceipt.test(answer)) append.reject(this.notReplicated());
        else this.settle(append, answer, 'stored');
        return;
      } catch {
        await sleep(resolveRetryMs);
      }
    }
    append.reject(
      new RefusalError('outcome_unknown', `Redis was lost while a message to ${topic} was being stored`, {
        retryAfterMs: link.state === 'up' ? 0 : 1000,
      }),
    );
  }

  private notReplicated(): RefusalError {
    return new RefusalError(
      'outcome_unknown',
      `the message is in Redis, but fewer than ${this.settings.waitReplicas} replicas of it have confirmed it: repeat it with the same key`,
      { retryAfterMs: 1000 },
    );
  }
}

/**
 * The entries of a call in one piece. While it waits for Redis, long entries are parts of that piece, so that they are not in memory twice.
 */
function joined(appends: readonly Append[], blobs: readonly Buffer[]): Buffer {
  const all = Buffer.concat(blobs);
  let at = 0;
  for (const { entries } of appends)
    for (const item of entries) {
      const end = at + item.entry.length;
      if (item.entry.length >= longBytes) item.entry = all.subarray(at, end);
      at = end;
    }
  return all;
}

/** An answer of the script for messages that are in the log. */
const isReceipt = /^\S+ -?\d+ \d/;

/** A sender in the form of the script: without spaces and colons, and different for different senders. */
function ownerMark(sender: string): string {
  // JSON keeps lone surrogates apart, which UTF-8 does not.
  return encodeURIComponent(JSON.stringify(sender));
}

/**
 * Reads the answer of the script.
 *
 * @param sharesOf returns the shares in the topic: asked only if a message was refused for them
 */
function readReceipts(
  answer: string,
  entries: readonly AppendEntry[],
  durability: Durability,
  sharesOf: () => InboxShares,
): AppendReceipt[] {
  const [epoch, receiverCount, first, ...words] = answer.split(' ');
  // -1: stored, but Redis has refused to publish them.
  const receivers = Math.max(0, Number(receiverCount));
  let next = parseInt(first!, 10);
  const held = first!.includes('/') ? readSize(first!) : undefined;
  return entries.map(({ id }, i): AppendReceipt => {
    const word = words[i];
    // Written out on purpose: a spread of the common fields costs several times as much as the rest of this
    // function.
    if (word === undefined || word === '+') {
      const sequence = next++;
      return held === undefined
        ? { id, epoch: epoch!, sequence, duplicate: false, durability, receivers }
        : { id, epoch: epoch!, sequence, duplicate: false, durability, receivers, held };
    }
    if (word === '!') return refusedReceipt(id, shareIsUsedUp(sharesOf()));
    if (word === '#') {
      sharesOf().onFull?.(1);
      return refusedReceipt(id, logIsFull());
    }
    const [sequence, earlierEpoch, firstId] = word.split(':');
    return {
      id: firstId!,
      epoch: earlierEpoch!,
      sequence: Number(sequence),
      duplicate: true,
      durability,
      receivers,
    };
  });
}

/** Of an inbox: what it holds, behind the sequence. */
function readSize(first: string): LogSize {
  const [, messages, bytes] = first.split('/');
  return { messages: Number(messages), bytes: Number(bytes) };
}
