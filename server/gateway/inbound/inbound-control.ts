import { RefusalError } from '../../../shared/errors.js';
import type { BodyBudget, HeldBody } from '../../limits/body-budget.js';
import type { Timer } from '../../primitives/clock.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import type { UnreadPacket } from '../engine-internals/exact-parser.js';
import { postponeTimeout } from '../engine-internals/heartbeats.js';
import type { PacketReader } from '../engine-internals/packet-reader.js';
import { InboundBudget } from './inbound-budget.js';
import { newInboundCounts, type InboundLimit } from './inbound-counts.js';
import type { InboundSettings } from './inbound-settings.js';
import { LoopShare, type LoopShareDependencies } from './loop-share.js';
import { pauses } from './pauses.js';

interface InboundDependencies extends LoopShareDependencies {
  /** Where unfinished messages are counted. */
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Whose they are: a user or an address. The connection is undefined for an upgrade that is not complete. */
  readonly callerOf: (engine: EngineConnection | undefined) => string;
  /** Closes a transport, and reports it. The connection is undefined for an upgrade that is not complete. */
  readonly closeTransport: (
    engine: EngineConnection | undefined,
    reader: PacketReader,
    limit: InboundLimit,
    error: RefusalError,
  ) => void;
}

/** While bytes of all connections are over the limit, a connection with fewer than this part of its own limit is still read. */
const fairPart = 1 / 64;
const sweepMs = 1000;

/** What the inbound budgets of a replica share: settings, counts, the event loop, and one timer. */
export class InboundControl {
  readonly counts = newInboundCounts();
  readonly share: LoopShare;
  /** Finds text frames that are refused without being read. Set when commands are known. */
  unreadPacketOn: (engine: EngineConnection, content: Buffer) => UnreadPacket | undefined = () => undefined;
  private readonly pacedForWaste = new Set<InboundBudget>();
  private readonly awaitingParts = new Set<InboundBudget>();
  /** Transports with too many commands under way, and since when. */
  private readonly awaitingCommands = new Map<InboundBudget, number>();
  private timer: Timer | undefined;

  constructor(
    private readonly dependencies: InboundDependencies,
    readonly settings: InboundSettings,
  ) {
    this.share = new LoopShare(dependencies);
  }

  get now(): number {
    return this.dependencies.clock.now();
  }

  get second(): number {
    return Math.floor(this.now / 1000);
  }

  get fairBytes(): number {
    return this.settings.maxInflightBytes * fairPart;
  }

  /** The budget of a new transport. */
  readonly newBudget = (reader: PacketReader, wire: 'socketio' | 'json'): InboundBudget =>
    new InboundBudget(this, reader, wire);

  openUnfinished(engine: EngineConnection | undefined): HeldBody {
    const { bodies, callerOf } = this.dependencies;
    return bodies.open(callerOf(engine));
  }

  waitsForCommands(budget: InboundBudget): void {
    this.awaitingCommands.set(budget, this.now);
    this.watch();
  }

  waitsNoLonger(budget: InboundBudget): void {
    this.awaitingCommands.delete(budget);
  }

  awaitsParts(budget: InboundBudget): void {
    this.awaitingParts.add(budget);
    this.watch();
  }

  awaitsNoParts(budget: InboundBudget): void {
    this.awaitingParts.delete(budget);
  }

  resumeNextSecond(budget: InboundBudget): void {
    this.pacedForWaste.add(budget);
    this.watch();
  }

  forget(budget: InboundBudget): void {
    this.pacedForWaste.delete(budget);
    this.awaitingParts.delete(budget);
    this.awaitingCommands.delete(budget);
  }

  close({ engine }: InboundBudget, reader: PacketReader, limit: InboundLimit, error: RefusalError): void {
    this.counts.closed[limit]++;
    this.dependencies.closeTransport(engine, reader, limit, error);
  }

  private watch(): void {
    if (this.timer !== undefined) return;
    this.timer = this.dependencies.clock.setTimeout(this.sweep, sweepMs - (this.now % sweepMs));
    this.timer.unref();
  }

  private readonly sweep = (): void => {
    this.timer = undefined;
    const { now } = this;
    const { clientTimeoutMs } = this.settings;
    const paced = [...this.pacedForWaste];
    this.pacedForWaste.clear();
    for (const budget of paced) {
      budget.probe();
      budget.resume(pauses.waste);
    }
    for (const [budget, since] of this.awaitingCommands) {
      const { engine } = budget;
      budget.probe();
      // Not for ever: a peer that has gone cannot be told from one that waits.
      if (engine !== undefined && now - since < 2 * clientTimeoutMs) postponeTimeout(engine);
    }
    for (const budget of this.awaitingParts) {
      if (budget.engine?.readyState === 'closed') this.forget(budget);
      else if (budget.awaitsPartsSince(now - clientTimeoutMs))
        budget.close('parts_time', partsTimedOut(clientTimeoutMs));
    }
    if (this.pacedForWaste.size + this.awaitingParts.size + this.awaitingCommands.size > 0) this.watch();
  };
}

function partsTimedOut(timeoutMs: number): RefusalError {
  return new RefusalError('timeout', `the binary parts of a packet must follow it within ${timeoutMs} ms`);
}
