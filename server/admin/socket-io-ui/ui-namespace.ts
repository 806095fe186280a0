import type { Server, Socket } from 'socket.io';
import { RefusalError, toWireError } from '../../../shared/errors.js';
import { engineOf } from '../../gateway/engine-internals/engine-connection.js';
import { markAsService } from '../../gateway/engine-internals/service-namespaces.js';
import { inboundOf } from '../../gateway/inbound/inbound-of.js';
import type { NamespaceMembers } from '../../gateway/namespaces/namespace-members.js';
import { uiNamespace } from '../../gateway/paths.js';
import type { Identity } from '../../protocol/identity.js';
import { hasRole, type AdminCaller } from '../admin-route.js';
import { requireRole } from '../admin-router.js';
import { operatorFeatures, viewerFeatures, type UiActions } from './ui-actions.js';
import type { UiViewer, UiWatch } from './ui-watch.js';

/** Pages that may be signed in at this replica. */
const viewersLimit = 100;
/** Actions of one page that may wait. They run one after the other. */
const waitingLimit = 20;
/** Packets that a page has not taken. */
const behindPackets = 50;

/** The UI shows its form again for this text, and only for this one. */
const invalid = 'invalid credentials';

interface UiNamespaceDependencies {
  /** @throws RefusalError */
  readonly authenticate: (token: string) => Identity;
  /** @throws RefusalError */
  readonly checkRevoked: (identity: Identity) => void;
  readonly addressOf: (request: Socket['request']) => string;
  /** Expiry and revocation of their tokens end the sockets that are added. */
  readonly members: NamespaceMembers;
  readonly watch: UiWatch;
  readonly actions: UiActions;
  readonly onRefused: (error: unknown, request: Socket['request']) => void;
}

/**
 * The namespace of the Socket.IO Admin UI. The password is an admin token. It speaks the protocol of the package's `instrument`, which is not
 * used: see docs/adr/0016-socket-io-admin-ui.md.
 */
export class UiNamespace {
  private readonly callers = new WeakMap<Socket, AdminCaller>();

  constructor(private readonly dependencies: UiNamespaceDependencies) {}

  install(io: Server): void {
    const namespace = io.of(uiNamespace);
    markAsService(namespace);
    namespace.use((socket, next) => {
      const refusal = this.authorize(socket);
      if (refusal === undefined) next();
      else next(refusal);
    });
    namespace.on('connection', (socket) => this.connected(socket));
  }

  /** The refusal, as the UI understands it. */
  private authorize(socket: Socket): Error | undefined {
    const { authenticate, addressOf, onRefused, watch } = this.dependencies;
    const { request, handshake } = socket;
    const { password, token } = handshake.auth as Readonly<Record<string, unknown>>;
    // It stays nowhere: a handshake is sent to other replicas by fetchSockets.
    Object.assign(handshake, { auth: {} });
    const given = [password, token].find((one) => typeof one === 'string' && one !== '') as
      string | undefined;
    // The page looks whether it has a session; without a text it shows its form and no error.
    if (given === undefined) return refusalFor('', new RefusalError('unauthorized', 'a token is needed'));
    let isAuthentic = false;
    try {
      const identity = authenticate(given);
      isAuthentic = true;
      inboundOf(engineOf(socket))?.authenticated();
      requireRole(identity, 'viewer');
      if (watch.size >= viewersLimit)
        throw new RefusalError('at_capacity', `${viewersLimit} pages of the Admin UI are open`);
      this.callers.set(socket, { identity, address: addressOf(request) });
      return undefined;
    } catch (error) {
      onRefused(error, request);
      return refusalFor(isAuthentic ? toWireError(error).message : invalid, error);
    }
  }

  private connected(socket: Socket): void {
    const { checkRevoked, members, watch } = this.dependencies;
    const caller = this.callers.get(socket)!;
    const member = members.add(socket, caller.identity);
    const viewer: UiViewer = {
      emit: (name, ...args) => void socket.emit(name, ...args),
      isBehind: () => engineOf(socket).writeBuffer.length > behindPackets,
    };
    socket.on('disconnect', () => {
      members.delete(socket);
      watch.delete(viewer);
    });
    try {
      // It may have been revoked between the check and now.
      checkRevoked(caller.identity);
    } catch (error) {
      member.disconnect(error as RefusalError);
      return;
    }
    const isOperator = hasRole(caller.identity, 'operator');
    socket.emit('config', { supportedFeatures: isOperator ? operatorFeatures : viewerFeatures });
    this.serve(socket, caller);
    watch.add(viewer);
  }

  private serve(socket: Socket, caller: AdminCaller): void {
    const { actions, checkRevoked, watch } = this.dependencies;
    let waiting = 0;
    let last: Promise<void> = Promise.resolve();
    for (const [event, action] of Object.entries(actions.handlers))
      socket.on(event, (...args: readonly unknown[]) => {
        if (waiting >= waitingLimit) {
          const busy = new RefusalError('busy', `${waitingLimit} actions are under way`, {
            retryAfterMs: 1000,
          });
          socket.emit('error', busy.toWire());
          return;
        }
        waiting++;
        last = last
          .then(async () => {
            if (!socket.connected) return;
            checkRevoked(caller.identity);
            await action(caller, args);
          })
          .catch((error: unknown) => void socket.emit('error', toWireError(error)))
          .finally(() => {
            waiting--;
            void watch.look();
          });
      });
  }
}

function refusalFor(text: string, error: unknown): Error {
  return Object.assign(new Error(text), { data: toWireError(error) });
}
