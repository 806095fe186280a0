import type { IncomingMessage } from 'node:http';
import { RefusalError } from '../../shared/errors.js';
import type { Positions } from '../../shared/position.js';
import type { ConnectEvent } from '../hooks/hooks.js';
import type { Identity } from '../protocol/identity.js';
import { positionsField } from '../protocol/request-fields.js';
import type { OpenedSession } from '../sessions/session-service.js';
import type { ConnectionAttempt, Release } from './connection-attempt.js';

export interface ConnectionPipelineDependencies {
  /** @throws RefusalError `forbidden` */
  readonly checkOrigin: (request: IncomingMessage) => void;
  /** Whether operators allow connections at present. @throws RefusalError */
  readonly checkConnectionsEnabled: () => void;
  /** Acquires a connection slot, and waits for the handshake's turn. @throws RefusalError `at_capacity`, `rate_limited`, `shutting_down` */
  readonly admit: (request: IncomingMessage) => void | Promise<void>;
  /** Verifies a token. @throws RefusalError `unauthorized`, `token_expired`, `token_revoked` */
  readonly authenticate: (token: string) => Identity;
  /** Undefined where no hook is there to be asked. */
  readonly onConnect: (event: ConnectEvent) => Promise<void> | undefined;
  /** Undefined where connections of users are not limited. */
  readonly acquireUserSlot: (userId: string) => Promise<Release> | undefined;
  readonly openSession: (userId: string, sessionId: unknown, positions: Positions) => Promise<OpenedSession>;
  /** @throws RefusalError `token_revoked` */
  readonly checkRevoked: (identity: Identity) => void;
  /** Called with each attempt that a step refuses. */
  readonly onRefused: (error: unknown, request: IncomingMessage) => void;
}

/** One step. Throws or rejects with a RefusalError to refuse the client; what the attempt holds is released then. */
type Step<Subject> = (subject: Subject) => void | Promise<void>;

/**
 * How a client gets in, the same for both wires. The steps are in two parts, because a Socket.IO client opens its transport before it gives its
 * token:
 *
 * | part | Socket.IO | `/ws` |
 * |---|---|---|
 * | {@link beforeTransport} | HTTP request of the handshake | HTTP request of the upgrade |
 * | {@link beforeConnection} | packet by which the client joins | the same request |
 *
 * A client that has passed them is attached: see {@link import('./connection-lifecycle.js').ConnectionLifecycle}.
 */
export class ConnectionPipeline {
  constructor(private readonly dependencies: ConnectionPipelineDependencies) {}

  private readonly beforeTransport: readonly Step<IncomingMessage>[] = [
    (request) => this.dependencies.checkOrigin(request),
    () => this.dependencies.checkConnectionsEnabled(),
    (request) => this.dependencies.admit(request),
  ];

  private readonly beforeConnection: readonly Step<ConnectionAttempt>[] = [
    (attempt) => this.authenticate(attempt),
    (attempt) => this.askHook(attempt),
    (attempt) => this.acquireUserSlot(attempt),
    (attempt) => this.openSession(attempt),
    (attempt) => this.revalidate(attempt),
  ];

  /** Runs the steps before a transport is opened. Without a wait it is done at once. @throws RefusalError, or rejects with one */
  admit(request: IncomingMessage): void | Promise<void> {
    const refuse = (error: unknown): never => {
      this.dependencies.onRefused(error, request);
      throw error;
    };
    try {
      return run(this.beforeTransport, request)?.catch(refuse);
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
    }
  }

  /**
   * Time has passed since the token was verified: hooks, the session store, and middleware of an embedding program were waited for.
   *
   * @throws RefusalError if the client may not connect any more
   */
  revalidate({ identity }: ConnectionAttempt): void {
    this.dependencies.checkConnectionsEnabled();
    this.dependencies.checkRevoked(identity!);
  }

  private authenticate(attempt: ConnectionAttempt): void {
    attempt.identity = this.dependencies.authenticate(attempt.credentials.token());
  }

  private askHook({ identity, address, wire }: ConnectionAttempt): Promise<void> | undefined {
    const { userId, roles } = identity!;
    return this.dependencies.onConnect({ userId, roles, address, wire });
  }

  private acquireUserSlot(attempt: ConnectionAttempt): Promise<void> | undefined {
    const acquired = this.dependencies.acquireUserSlot(attempt.identity!.userId);
    return acquired?.then((release) => attempt.hold(release));
  }

  private async openSession(attempt: ConnectionAttempt): Promise<void> {
    const { sessionId, positions } = attempt.credentials;
    const parsed = positionsField.safeParse(positions ?? {});
    if (!parsed.success) {
      throw new RefusalError('invalid_message', 'auth.positions must map topics to { epoch, sequence }', {
        field: 'auth.positions',
      });
    }
    attempt.session = await this.dependencies.openSession(attempt.identity!.userId, sessionId, parsed.data);
  }
}

/** Runs steps one after the other; gives a promise only where one of them has to be waited for. */
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
