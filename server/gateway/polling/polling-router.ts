import type { IncomingMessage, ServerResponse } from 'node:http';
import { RefusalError } from '../../../shared/errors.js';
import type { Clock } from '../../primitives/clock.js';
import type { Bus } from '../../cluster/bus.js';
import { ReplicaStreams } from '../../cluster/replica-streams.js';
import type { BodyBudget } from '../../limits/body-budget.js';
import type { Log } from '../../logging/log.js';
import type { PollingTransports } from '../engine-internals/polling-transports.js';
import { refuseRequest, refuseUpgrade } from '../handshake/handshake-refusal.js';
import { GoneTransports } from './gone-transports.js';
import { Owners } from './owners.js';
import { newPollingCounts } from './polling-counts.js';
import { PollingEdge, unreachableOwner } from './polling-edge.js';
import { isEdgeFrame, readFrame, sizeOf, type EdgeFrame, type OwnerFrame } from './polling-frames.js';
import { PollingOwner } from './polling-owner.js';
import type { TransportIds } from './transport-ids.js';

interface PollingRouterDependencies {
  readonly transports: PollingTransports;
  readonly ids: TransportIds;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly bodies: Pick<BodyBudget, 'open'>;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly log: Log;
}

/**
 * Long-polling between replicas without sticky sessions. A request whose transport is here goes its usual way. Any other one is sent to the replica
 * that its transport's id names, if the id is signed; an invented one is answered by engine.io and costs no traffic.
 */
export class PollingRouter {
  readonly counts = newPollingCounts();
  private readonly streams: ReplicaStreams;
  private readonly edge: PollingEdge;
  private readonly owner: PollingOwner;
  private readonly owners: Owners;
  private readonly gone = new GoneTransports();
  private hasForwarded = false;

  constructor(private readonly dependencies: PollingRouterDependencies) {
    const { transports, ids, bus, clock, bodies, addressOf, log } = dependencies;
    const { counts } = this;
    this.owners = new Owners({ bus, clock });
    const send = (replica: string, frame: EdgeFrame | OwnerFrame) =>
      this.streams.send(replica, frame, sizeOf(frame));
    this.edge = new PollingEdge({ send, bodies, addressOf, counts });
    this.owner = new PollingOwner({ send, transports, counts, now: () => clock.now() });
    this.streams = new ReplicaStreams(
      {
        bus,
        clock,
        onFrame: (data, from) => {
          const frame = readFrame(data);
          if (frame === undefined) log.debug('Frame of another replica not understood', { from });
          else if (isEdgeFrame(frame)) this.owner.receive(frame, from);
          else this.edge.receive(frame, from);
        },
        onLost: (replica) => {
          this.owners.forget(replica);
          this.edge.lost(replica);
          this.owner.lost(replica);
        },
        isAwaited: (replica) => this.edge.isWaitingFor(replica) || this.owner.isServing(replica),
      },
      { kind: 'polling' },
    );
    transports.setIds(() => ids.newId((id) => transports.has(id)));
    transports.use(this.route);
  }

  /** Lets the clients of other replicas send their next polls elsewhere: this replica is about to close. */
  release(): void {
    this.edge.release();
  }

  /** Resolves when the last responses have left. */
  flushed(limitMs: number): Promise<void> {
    return this.streams.flushed(limitMs);
  }

  close(): void {
    this.streams.close();
  }

  private readonly route = (
    request: IncomingMessage,
    response: ServerResponse,
    next: (error?: Error) => void,
  ): void => {
    const { transports, ids } = this.dependencies;
    const { sid, transport, EIO, t } = transports.queryOf(request);
    if (sid === undefined) next();
    else if (transports.has(sid)) {
      if (request.method === 'GET' && transport === 'polling') this.owner.admitPoll(sid, request, t);
      next();
    } else {
      const tag = this.gone.has(sid) ? undefined : ids.tagIn(sid);
      const isForwardable =
        transport === 'polling' && EIO === '4' && (request.method === 'GET' || request.method === 'POST');
      if (tag === undefined || tag === ids.tag) next();
      else if (request.headers.upgrade !== undefined && transport === 'websocket')
        this.refuseUpgrade(request);
      else if (isForwardable)
        this.forward({ request, response, sid, onGone: () => this.onGone(sid, next) }, tag);
      else next();
    }
  };

  private forward(forwardable: Parameters<PollingEdge['forward']>[0], tag: string): void {
    const { sid, request, response, onGone } = forwardable;
    if (this.edge.isOverlapping(sid, request.method)) {
      refuseRequest(
        response,
        new RefusalError('conflict', 'too many requests of one transport at the same time'),
      );
      return;
    }
    this.noteFirst();
    const forward = (owner: string | undefined) => {
      if (owner === undefined) onGone();
      else this.edge.forward(forwardable, owner);
    };
    const known = this.owners.known(tag);
    // A body waits meanwhile.
    if (known !== undefined) forward(known);
    else
      this.owners.find(tag).then(forward, () => {
        this.counts.failed++;
        refuseRequest(response, unreachableOwner());
      });
  }

  private onGone(sid: string, next: () => void): void {
    this.gone.add(sid);
    next();
  }

  private refuseUpgrade({ socket }: IncomingMessage): void {
    this.counts.upgradesRefused++;
    const text = 'another replica holds this transport: it stays with long-polling';
    refuseUpgrade(socket, new RefusalError('conflict', text));
  }

  private noteFirst(): void {
    if (this.hasForwarded) return;
    this.hasForwarded = true;
    this.dependencies.log.info(
      'Requests of long-polling arrive at replicas that do not hold their transport: they are forwarded',
      { remedy: 'none is needed; sticky sessions, or clients that only use WebSocket, save the detour' },
    );
  }
}
