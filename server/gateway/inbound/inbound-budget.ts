import { errorTable, RefusalError, type ErrorCode } from '../../../shared/errors.js';
import type { HeldBody } from '../../limits/body-budget.js';
import { costlyFrom } from '../../protocol/json-cost.js';
import type { EngineConnection } from '../engine-internals/engine-connection.js';
import { awaitsPong } from '../engine-internals/heartbeats.js';
import type { UnreadPacket } from '../engine-internals/exact-parser.js';
import type { PacketAdmission, PacketReader } from '../engine-internals/packet-reader.js';
import { heldBytes } from './held-bytes.js';
import type { InboundCounts, InboundLimit } from './inbound-counts.js';
import type { LoopShare } from './loop-share.js';
import type { InboundSettings } from './inbound-settings.js';
import { fragmentLimit, tooManyFragments } from './fragment-limit.js';
import { binaryBeforeJoin, JoinCount, tooLargeToJoin } from './join-count.js';
import { enginePackets, socketPackets } from './packet-kinds.js';
import { PartCount } from './part-count.js';
import { UnfinishedBytes } from './unfinished-bytes.js';
import { forCommands, pauses } from './pauses.js';
import { WasteRate } from './waste-rate.js';

/** What the budgets of a replica share; see {@link import('./inbound-control.js').InboundControl}. */
interface BudgetControl {
  readonly settings: InboundSettings;
  readonly counts: InboundCounts;
  readonly share: LoopShare;
  /** The monotonic clock, in milliseconds and in seconds. */
  readonly now: number;
  readonly second: number;
  /** A connection with fewer bytes under way is read also while those of all connections are over the limit. */
  readonly fairBytes: number;
  /** What takes the place of a large text frame that is refused without being read. */
  unreadPacketOn(engine: EngineConnection, content: Buffer): UnreadPacket | undefined;
  /** The account of what a transport holds of unfinished messages. */
  openUnfinished(engine: EngineConnection | undefined): HeldBody;
  waitsForCommands(budget: InboundBudget): void;
  waitsNoLonger(budget: InboundBudget): void;
  awaitsParts(budget: InboundBudget): void;
  awaitsNoParts(budget: InboundBudget): void;
  resumeNextSecond(budget: InboundBudget): void;
  forget(budget: InboundBudget): void;
  close(budget: InboundBudget, reader: PacketReader, limit: InboundLimit, error: RefusalError): void;
}

/** A packet by which a client joins or leaves costs as much as this many other packets without use. */
const joinCost = 10;
/** After this many units a transport asks whether the turn is used up. A unit is a packet, or 512 bytes. */
const unitsPerCheck = 64;
/** A transport that uses so many units in no fewer turns than these is quiet: it does not wait behind busy ones. */
const quietTurns = 16;
/** Units of one transport in one turn: packets that take the normal path of Socket.IO run after the turn that is measured. */
const unitsPerTurn = 512;
/** A packet on the normal path of Socket.IO, and this many bytes of it, is as many units more: a list of a hundred topics is much work. */
const slowUnits = 4;
const slowUnitBytes = 16;

const { binaryPart, pong, message } = enginePackets;
const { joining, leaving, event, binaryEvent, binaryAck } = socketPackets;

/**
 * What one transport may cost, counted before its packets are decoded. The limits are in docs/adr/0009-inbound-budget.md.
 *
 * Commands are never refused here: where too many are under way, or the turn is used up, the transport is not read for a
 * while. Only what no honest client sends closes it.
 */
export class InboundBudget implements PacketAdmission {
  /** The Engine.IO connection of the transport; undefined until it is opened, and for an upgrade that is not complete. */
  engine: EngineConnection | undefined;
  private paused = 0;
  private isClosing = false;
  private hasJoined = false;
  /** Undefined when the client has shown a valid token. Hooks may take their time until it joins. */
  private beforeJoin: JoinCount | undefined;
  private units = 0;
  private unitsInTurn = 0;
  private turn = 0;
  private commands = 0;
  private largestBytes = 0;
  private bytes = 0;
  /** Size of the packet in whose place another is passed on. */
  private unreadBytes = 0;
  /** Acknowledgements that the client was asked for and has not sent. */
  private owedAcks = 0;
  private pongSecond = -1;
  private waste: WasteRate | undefined;
  private parts: PartCount | undefined;
  private unfinished: UnfinishedBytes | undefined;

  constructor(
    private readonly control: BudgetControl,
    private reader: PacketReader,
    private readonly wire: 'socketio' | 'json',
  ) {
    if (wire === 'json') {
      this.hasJoined = true;
      return;
    }
    this.beforeJoin = new JoinCount();
    reader.limitFrames(control.settings.maxJoinBytes);
  }

  /** The transport that the client has upgraded to. */
  useReader(reader: PacketReader): void {
    this.reader = reader;
    if (this.hasJoined) reader.limitFrames(this.control.settings.transportLimitBytes);
    if (this.paused !== 0) reader.stop();
  }

  /** A token of the client was verified. From now on packets by which it joins count as they do after the join. */
  authenticated(): void {
    this.beforeJoin = undefined;
    this.unfinished?.set('message', 0);
  }

  /** The client has joined a namespace. */
  joined(): void {
    if (this.hasJoined) return;
    this.hasJoined = true;
    this.authenticated();
    this.reader.limitFrames(this.control.settings.transportLimitBytes);
  }

  /** A client that has not joined may send JSON that takes milliseconds to read. Of such packets, at most one is read per four turns. */
  mayDecode(bytes: number): boolean {
    const { share } = this.control;
    if (bytes < costlyFrom || this.hasJoined || this.isClosing || share.takeTurn()) return true;
    this.waitForTurn();
    return false;
  }

  admitFrame(content: Buffer, isBinary: boolean): boolean {
    const { length } = content;
    // What a client without a valid token has sent counts until it is thrown away.
    if (this.beforeJoin === undefined) this.unfinished?.set('message', 0);
    this.use(1 + (length >>> 9));
    if (this.isClosing) return false;
    if (this.wire === 'json') return true;
    if (!isBinary && content[0] === message && content[1] === event && this.hasJoined) return true;
    if (isBinary) return this.admitPart(length);
    return this.admit(content[0], content[1], length, () => content.toString('latin1', 1, 16));
  }

  unreadPacket(content: Buffer): UnreadPacket | undefined {
    if (content.length < costlyFrom || this.wire === 'json' || this.engine === undefined) return undefined;
    const unread = this.control.unreadPacketOn(this.engine, content);
    this.unreadBytes = unread === undefined ? 0 : content.length;
    return unread;
  }

  admitPacket(packet: string): boolean {
    const { length } = packet;
    this.use(1 + (length >>> 9));
    if (this.isClosing) return false;
    const first = packet.charCodeAt(0);
    if (first === binaryPart) return this.admitPart((length * 3) >>> 2);
    return this.admit(first, packet.charCodeAt(1), length, () => packet.slice(1, 16));
  }

  /** A fragment costs as much as a packet, and memory until its message is complete. */
  admitFragment(count: number): void {
    this.use(1);
    const { settings } = this.control;
    const limit = fragmentLimit(this.hasJoined ? settings.transportLimitBytes : settings.maxJoinBytes);
    if (count <= limit) return;
    this.close('fragments', tooManyFragments(count, limit));
  }

  /** An unfinished message is counted with those of all transports. To copy what arrives of it takes time too. */
  admitUnfinished(bytes: number, arrivedBytes: number): void {
    this.hold('message', bytes);
    this.use(arrivedBytes >>> 9);
  }

  /** The transport has closed. */
  ended(): void {
    this.unfinished?.discard();
    this.unfinished = undefined;
  }

  admitControlFrame(): void {
    this.use(1);
    this.countBeforeJoin(1);
    this.wasted(1);
  }

  /**
   * A packet takes the normal path of Socket.IO, on which the size of a command is lost: it counts with the largest packet that is on the
   * way together with it.
   *
   * @param isBehind whether others are on the way
   */
  passedOn(passedBytes: number, isBehind: boolean): void {
    const bytes = this.unreadBytes + passedBytes;
    this.unreadBytes = 0;
    this.units += slowUnits + Math.ceil(bytes / slowUnitBytes);
    if (!isBehind) this.largestBytes = bytes;
    else if (this.parts !== undefined) this.largestBytes += bytes;
    else if (bytes > this.largestBytes) this.largestBytes = bytes;
  }

  /** Upper bound of the size of a command that comes from the normal path. */
  get commandBytes(): number {
    return this.largestBytes;
  }

  /** A command of `bytes` bytes has begun; {@link commandEnded} must follow. */
  commandStarted(bytes: number): void {
    const { counts, settings } = this.control;
    this.commands++;
    this.bytes += bytes;
    counts.commands++;
    counts.bytes += bytes;
    if (this.commands > settings.maxInflightCommands || this.bytes > settings.maxInflightBytes)
      this.pause(pauses.commands);
    else if (this.isCrowded && heldBytes(this.commands, this.bytes) > this.control.fairBytes)
      this.pause(pauses.commands);
  }

  /** What is under way of all connections is too much. */
  private get isCrowded(): boolean {
    const { counts, settings } = this.control;
    return heldBytes(counts.commands, counts.bytes) > settings.totalInflightBytes;
  }

  commandEnded(bytes: number): void {
    const { counts, settings } = this.control;
    this.commands--;
    this.bytes -= bytes;
    counts.commands--;
    counts.bytes -= bytes;
    if ((this.paused & pauses.commands) === 0) return;
    const isLow =
      this.commands <= settings.maxInflightCommands / 2 && this.bytes <= settings.maxInflightBytes / 2;
    if (isLow && (!this.isCrowded || heldBytes(this.commands, this.bytes) <= this.control.fairBytes / 2))
      this.resume(pauses.commands);
  }

  /** Commands that are not answered yet. */
  get commandsUnderWay(): number {
    return this.commands;
  }

  /** A command was refused. What a repetition cannot mend is waste. */
  refused(code: ErrorCode, bytes: number): void {
    if (errorTable[code].retry !== 'yes') this.wasted(1 + (bytes >>> 11));
  }

  /** The client was asked to acknowledge something. */
  askedForAck(): void {
    this.owedAcks++;
  }

  /** The client has sent an acknowledgement. @param isAwaited false: nobody waits for it, or no longer */
  acknowledged(isAwaited: boolean): void {
    if (this.owedAcks > 0) this.owedAcks--;
    else if (!isAwaited) this.wasted(1);
  }

  pause(reason: number): void {
    if ((this.paused & reason) !== 0) return;
    if ((reason & (forCommands | pauses.waste)) !== 0) this.control.counts.paused++;
    if ((reason & forCommands) !== 0) this.control.waitsForCommands(this);
    if (this.paused === 0) this.reader.stop();
    this.paused |= reason;
  }

  resume(reason: number): void {
    if ((this.paused & reason) === 0) return;
    this.paused &= ~reason;
    if ((reason & forCommands) !== 0 && (this.paused & forCommands) === 0) this.control.waitsNoLonger(this);
    if (this.paused === 0) this.waitForTurn();
  }

  /** While a client is not read, only an answer to something written shows that it has gone. */
  probe(): void {
    if ((this.paused & (pauses.order | pauses.waste)) !== 0) this.reader.probe?.();
  }

  /** Whether the binary parts of a packet have been awaited since before an instant on the monotonic clock. */
  awaitsPartsSince(before: number): boolean {
    return this.parts !== undefined && this.parts.since < before;
  }

  /** Closes the transport with a code and an error that names the limit. */
  close(limit: InboundLimit, error: RefusalError): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.parts = undefined;
    this.ended();
    this.control.forget(this);
    this.control.close(this, this.reader, limit, error);
  }

  private admit(
    first: number | undefined,
    second: number | undefined,
    bytes: number,
    header: () => string,
  ): boolean {
    this.countBeforeJoin(bytes);
    if (this.isClosing) return false;
    if (first === pong) return this.admitPong();
    if (first !== message) {
      this.wasted(1);
      return !this.isClosing;
    }
    if (second === joining || second === leaving) {
      if (this.beforeJoin === undefined) this.wasted(joinCost);
      const { maxJoinBytes } = this.control.settings;
      // Also of a client that joins again, or another namespace.
      if (bytes > maxJoinBytes) this.close('join_bytes', tooLargeToJoin(bytes, maxJoinBytes));
    } else if (second === binaryEvent || second === binaryAck) {
      if (this.hasJoined) this.awaitParts(header(), bytes);
      else this.close('before_join', binaryBeforeJoin());
    }
    return !this.isClosing;
  }

  /** A pong that answers no ping is passed on once per second: engine.io loses count of its pings during an upgrade. */
  private admitPong(): boolean {
    if (this.engine !== undefined && awaitsPong(this.engine)) return true;
    this.wasted(1);
    const { second } = this.control;
    if (this.isClosing || this.pongSecond === second) return false;
    this.pongSecond = second;
    return true;
  }

  private awaitParts(header: string, bytes: number): void {
    const count = Number.parseInt(header.slice(1), 10);
    // Socket.IO closes the transport if the header is malformed.
    if (!(count > 0)) return;
    this.parts = new PartCount(count, bytes, this.control.now);
    this.control.awaitsParts(this);
  }

  private admitPart(bytes: number): boolean {
    this.countBeforeJoin(bytes);
    const { parts } = this;
    // Socket.IO closes the transport if it expects none.
    if (parts === undefined || this.isClosing) return !this.isClosing;
    const tooLarge = parts.add(bytes, this.control.settings.transportLimitBytes);
    if (tooLarge !== undefined) this.close('parts', tooLarge);
    else if (parts.isComplete) {
      this.parts = undefined;
      this.control.awaitsNoParts(this);
      this.unfinished?.set('parts', 0);
    } else this.hold('parts', parts.bytes);
    return !this.isClosing;
  }

  private hold(what: 'message' | 'parts', bytes: number): void {
    if (this.isClosing) return;
    this.unfinished ??= new UnfinishedBytes(() => this.control.openUnfinished(this.engine));
    try {
      this.unfinished.set(what, bytes);
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      this.close('unfinished', error);
    }
  }

  private countBeforeJoin(bytes: number): void {
    const { beforeJoin } = this;
    if (beforeJoin === undefined) return;
    const over = beforeJoin.add(bytes, this.control.settings.maxJoinBytes);
    if (over !== undefined) this.close(over.limit, over.error);
    // A client may join many namespaces in one chunk: its first token is verified before the next turn.
    else if (beforeJoin.isFull) this.waitForTurn();
  }

  private wasted(packets: number): void {
    const { counts, settings, second } = this.control;
    counts.waste += packets;
    const limit = settings.wastePacketsPerSec;
    if (limit === 0 || this.isClosing) return;
    this.waste ??= new WasteRate();
    const outcome = this.waste.add(packets, second, limit);
    if (outcome === 'within') return;
    if (outcome === 'over') {
      this.pause(pauses.waste);
      this.control.resumeNextSecond(this);
      return;
    }
    const text = `more than ${limit} packets without use a second: pings, unknown or malformed commands, acknowledgements that nobody waits for`;
    this.close('waste', new RefusalError('rate_limited', text, { limit, retryAfterMs: 10_000 }));
  }

  private use(units: number): void {
    this.units += units;
    if (this.units < unitsPerCheck) return;
    const { share } = this.control;
    const turns = share.turn - this.turn;
    if (turns > 0) {
      this.turn = share.turn;
      this.unitsInTurn = 0;
    }
    this.unitsInTurn += this.units;
    this.units = 0;
    if (!share.isUsedUp() && this.unitsInTurn < unitsPerTurn) return;
    this.waitForTurn(turns >= quietTurns);
  }

  private waitForTurn(isQuiet = false): void {
    if ((this.paused & pauses.turn) !== 0) return;
    this.pause(pauses.turn);
    this.control.share.defer(() => this.goOn(), isQuiet);
  }

  private goOn(): void {
    this.paused &= ~pauses.turn;
    if (this.paused === 0 && !this.isClosing) this.reader.start();
  }
}
