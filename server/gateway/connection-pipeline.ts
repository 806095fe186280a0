import type { IncomingMessage } from 'node:http';
import type { Position } from '../../shared/position.js';
import type { ConnectEvent } from '../hooks/hooks.js';
import type { Identity } from '../protocol/identity.js';
import type { OpenedSession } from '../sessions/opened-session.js';
import { readPositions } from '../topics/start-position.js';
import { ClientGoneError } from './handshake/handshake-admission.js';
import type { ConnectionAttempt, Release } from './connection-attempt.js';

interface ConnectionPipelineDependencies {
  /** @throws RefusalError `forbidden` */
  readonly checkOrigin: (request: IncomingMessage) => void;
  /** Whether operators currently allow connections. @throws RefusalError */
  readonly checkConnectionsEnabled: () => void;
  /**
   * Acquires a connection slot, then delays the handshake if too many arrive at once, or too many are not known yet.
   *
   * @param isKnown whether the client has authenticated
   * @throws RefusalError `at_capacity`, `rate_limited`, `shutting_down`
   */
  readonly admit: (request: IncomingMessage, isKnown: boolean) => undefined | Promise<void>;
  /** Verifies a token. @throws RefusalError `unauthorized`, `token_expired`, `token_revoked` */
  readonly authenticate: (token: string) => Identity;
  /** The token of the client of a transport was verified. */
  readonly onAuthenticated: (transport: object) => void;
  /** Delays clients of a user who has more than its share of unfinished messages. Returns undefined for others. */
  readonly awaitShare: (userId: string) => Promise<void> | undefined;
  /** Returns undefined if no hook is configured. */
  readonly onConnect: (event: ConnectEvent) => Promise<void> | undefined;
  /** Returns undefined if connections of users are not limited. */
  readonly acquireUserSlot: (transport: object, userId: string) => Promise<Release> | undefined;
  /** Opens the inbox of a user until {@link Release}, if nothing else keeps it open. */
  readonly expectInInbox: (userId: string) => Release;
  readonly openSession: (
    userId: string,
    sessionId: unknown,
    positions: ReadonlyMap<string, Position>,
  ) => Promise<OpenedSession>;
  /** @throws RefusalError `token_revoked` */
  readonly checkRevoked: (identity: Identity) => void;
  /** Called for each attempt that a step refuses. */
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
}

interface ConnectionPipelineSettings {
  /** Most entries of `auth.positions`. More than a connection may have topics: a client may keep those of topics that it has left. */
  readonly maxPositions: number;
}

/**
 * One step. It throws or rejects with a RefusalError to refuse the client; the attempt's slot is then
 * released.
 */
type Step<Subject> = (subject: Subject) => void | Promise<void>;
type Handshake = Step<IncomingMessage>;

/**
 * The steps before a client is connected, the same for both wires. They are in two parts, because a Socket.IO
 * client opens its transport before it sends its token:
 *
 * | part | Socket.IO | `/ws` |
 * |---|---|---|
 * | {@link beforeTransport} | HTTP request of the handshake | HTTP request of the upgrade |
 * | {@link beforeConnection} | packet by which the client joins | the same request |
 *
 * The token of a `/ws` client is verified before it waits for its turn, so that clients without one take no turns from others.
 *
 * After the steps the client is attached: see
 * {@link import('./connection-lifecycle.js').ConnectionLifecycle}.
 */
export class ConnectionPipeline {
  constructor(
    private readonly dependencies: ConnectionPipelineDependencies,
    private readonly settings: ConnectionPipelineSettings,
  ) {}

  private readonly beforeTransport: readonly [origin: Handshake, enabled: Handshake, admit: Handshake] = [
    (request) => this.dependencies.checkOrigin(request),
    () => this.dependencies.checkConnectionsEnabled(),
    (request) => this.dependencies.admit(request, false),
  ];

  private readonly beforeConnection: readonly Step<ConnectionAttempt>[] = [
    (attempt) => this.authenticate(attempt),
    ({ identity }) => this.dependencies.awaitShare(identity!.userId),
    (attempt) => this.askHook(attempt),
    (attempt) => this.acquireUserSlot(attempt),
    (attempt) => this.openSession(attempt),
    (attempt) => this.revalidate(attempt),
  ];

  /**
   * Runs the steps before a transport is opened. Synchronous if no step has to wait.
   *
   * @throws RefusalError, or rejects with one; rejects with ClientGoneError
   */
  admit(request: IncomingMessage): void | Promise<void> {
    return this.runBeforeTransport(request, this.beforeTransport);
  }

  /** As {@link admit}, for a client whose request has its token. */
  admitAuthenticated(attempt: ConnectionAttempt): void | Promise<void> {
    const [checkOrigin, checkEnabled] = this.beforeTransport;
    const authenticate = () => this.authenticate(attempt);
    const admit = () => this.dependencies.admit(attempt.request, true);
    return this.runBeforeTransport(attempt.request, [checkOrigin, checkEnabled, authenticate, admit]);
  }

  private runBeforeTransport(
    request: IncomingMessage,
    steps: readonly Step<IncomingMessage>[],
  ): void | Promise<void> {
    const refuse = (error: unknown): never => {
      // A client that went away was not refused.
      if (!(error instanceof ClientGoneError)) this.dependencies.onRefused(error, request);
      throw error;
    };
    try {
      return run(steps, request)?.catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  }

  /** Runs the steps before a client is connected. Rejects with a RefusalError. */
  async authorize(attempt: ConnectionAttempt): Promise<void> {
    try {
      await run(this.beforeConnection, attempt);
    } catch (error) {
      attempt.release();
      this.dependencies.onRefused(error, attempt.request);
      throw error;
    } finally {
      attempt.forgetCredentials();
    }
  }

  /**
   * Checks again what may have changed since the token was verified: hooks, the session store and middleware
   * of an embedding program take time.
   *
   * @throws RefusalError if the client is no longer allowed to connect
   */
  revalidate({ identity }: Pick<ConnectionAttempt, 'identity'>): void {
    this.dependencies.checkConnectionsEnabled();
    this.dependencies.checkRevoked(identity!);
  }

  private authenticate(attempt: ConnectionAttempt): void {
    attempt.identity ??= this.dependencies.authenticate(attempt.credentials.token());
    this.dependencies.onAuthenticated(attempt.transport);
  }

  private askHook({ identity, address, wire }: ConnectionAttempt): Promise<void> | undefined {
    const { userId, roles } = identity!;
    return this.dependencies.onConnect({ userId, roles, address, wire });
  }

  private acquireUserSlot(attempt: ConnectionAttempt): Promise<void> | undefined {
    const acquired = this.dependencies.acquireUserSlot(attempt.transport, attempt.identity!.userId);
    return acquired?.then((release) => attempt.hold(release));
  }

  private async openSession(attempt: ConnectionAttempt): Promise<void> {
    const { sessionId, positions: given } = attempt.credentials;
    const { userId } = attempt.identity!;
    const positions = readPositions(given, 'auth.positions', this.settings.maxPositions);
    // Both ask the store more than once, one after the other, and the client waits for both.
    attempt.holdInbox(this.dependencies.expectInInbox(userId));
    attempt.session = await this.dependencies.openSession(userId, sessionId, positions);
  }
}

/** Runs steps one after the other. Returns a promise only if a step is asynchronous. */
function run<Subject>(steps: readonly Step<Subject>[], subject: Subject): Promise<void> | undefined {
  for (let i = 0; i < steps.length; i++) {
    const waiting = steps[i]!(subject);
    if (waiting !== undefined) return finish(waiting, steps.slice(i + 1), subject);
  }
  return undefined;
}

async function finish<Subject>(
  waiting: Promise<void>,
  rest: readonly Step<Subject>[],
  subject: Subject,
): Promise<void> {
  await waiting;
  for (const step of rest) await step(subject);
}
