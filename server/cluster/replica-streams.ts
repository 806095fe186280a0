import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../primitives/clock.js';
import type { Bus } from './bus.js';
import { ReplicaStream, type StreamMessage } from './replica-stream.js';

interface ReplicaStreamsDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly onFrame: (frame: unknown, replica: string) => void;
  /** The stream to a replica is lost, with all that was on its way: it has ended, or is out of reach. */
  readonly onLost: (replica: string) => void;
  /** Whether something is expected of a replica. Then its silence is noticed. */
  readonly isAwaited: (replica: string) => boolean;
}

interface ReplicaStreamsSettings {
  /** Kind on the bus. */
  readonly kind: string;
}

const tickMs = 1000;

/** Of a stream without traffic, it is looked after so many ticks whether the other replica is still there. */
const idleTicks = 60;

interface Peer {
  readonly stream: ReplicaStream;
  idle: number;
}

/**
 * Streams of frames to the other replicas, one for each, made when first needed: see {@link ReplicaStream}. A replica to which nothing was sent
 * costs nothing.
 */
export class ReplicaStreams {
  private readonly peers = new Map<string, Peer>();
  private timer: Timer | undefined;

  constructor(
    private readonly dependencies: ReplicaStreamsDependencies,
    private readonly settings: ReplicaStreamsSettings,
  ) {
    dependencies.bus.on(settings.kind, (data, from) => this.receive(data as StreamMessage, from));
  }

  /** @param bytes about the size of the frame */
  send(replica: string, frame: object, bytes: number): void {
    this.peer(replica).stream.send(frame, bytes);
  }

  /** Resolves when everything has been handed to Redis, or after `limitMs`. */
  async flushed(limitMs: number): Promise<void> {
    const { clock } = this.dependencies;
    const endsAt = clock.now() + limitMs;
    const isUnsent = () => [...this.peers.values()].some(({ stream }) => stream.isUnsent);
    while (isUnsent() && clock.now() < endsAt) await clock.sleep(5);
  }

  close(): void {
    this.dependencies.clock.clearTimer(this.timer);
    for (const { stream } of this.peers.values()) stream.close();
    this.peers.clear();
  }

  private receive(message: StreamMessage, from: string): void {
    const outcome = this.peer(from).stream.receive(message);
    if (outcome === 'taken') return;
    this.lose(from);
    if (outcome === 'renewed') this.peer(from).stream.receive(message);
  }

  private peer(replica: string): Peer {
    const known = this.peers.get(replica);
    if (known !== undefined) {
      if (!known.stream.isActive) known.stream.wake();
      known.idle = 0;
      this.startTicks();
      return known;
    }
    const { bus, clock, onFrame, isAwaited } = this.dependencies;
    const stream = new ReplicaStream(
      {
        clock,
        post: (message) => bus.reach(replica, this.settings.kind, message),
        onFrame: (frame) => onFrame(frame, replica),
        isAwaited: () => isAwaited(replica),
      },
      randomBytes(6).toString('base64url'),
    );
    const peer = { stream, idle: 0 };
    this.peers.set(replica, peer);
    this.startTicks();
    return peer;
  }

  private startTicks(): void {
    if (this.timer !== undefined) return;
    this.timer = this.dependencies.clock.setInterval(() => this.tick(), tickMs);
    this.timer.unref();
  }

  private tick(): void {
    for (const [replica, peer] of this.peers) {
      if (peer.stream.isActive) {
        peer.idle = 0;
        if (!peer.stream.tick()) this.lose(replica);
      } else {
        peer.stream.wake();
        if (++peer.idle % idleTicks === 0) void this.removeEnded(replica, peer);
      }
    }
    if (this.peers.size > 0) return;
    this.dependencies.clock.clearTimer(this.timer);
    this.timer = undefined;
  }

  /** Only a stream to a replica that has ended is forgotten: otherwise the other side would count what it sends next as lost. */
  private async removeEnded(replica: string, peer: Peer): Promise<void> {
    if ((await peer.stream.probe()) !== false || peer.stream.isActive) return;
    if (this.peers.get(replica) === peer) this.peers.delete(replica);
  }

  private lose(replica: string): void {
    this.peers.get(replica)?.stream.close();
    this.peers.delete(replica);
    this.dependencies.onLost(replica);
  }
}
