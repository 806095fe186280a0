import type { IncomingMessage } from 'node:http';
import type { Namespace, Server, Socket } from 'socket.io';

/** A client that wants to join a namespace which does not exist yet. */
export interface NamespaceCandidate {
  readonly name: string;
  readonly auth: Readonly<Record<string, unknown>>;
  readonly conn: Socket['conn'];
  readonly request: IncomingMessage;
}

interface DynamicNamespacesDependencies {
  /** Throws what is unacceptable in the name of a namespace, before the patterns of the program see it. */
  readonly checkName: (name: string) => void;
  /** Rejects if the client may not make the namespace. */
  readonly admit: (candidate: NamespaceCandidate) => Promise<void>;
  /** What a refused client is told. */
  readonly refusal: (error: unknown, request: IncomingMessage) => Error & { readonly data: unknown };
}

/** Socket.IO's client object. */
interface Client {
  readonly conn: Socket['conn'];
  readonly request: IncomingMessage;
  _packet(packet: object): void;
}

type Auth = Readonly<Record<string, unknown>>;
type Add = (client: Client, auth: Auth, added: unknown) => unknown;
type Matches = (name: string, auth: Auth, decide: (error: unknown, allow: boolean) => void) => void;

/** A pattern of the program, with the namespaces that were made from it. */
interface Parent {
  readonly children: Set<Child>;
  createChild(name: string): Child;
}

/** A namespace, or what stands in its place while a client is admitted to one that does not exist yet. */
interface Joinable {
  readonly name: string;
  _add: Add;
}

interface ServerInternals {
  readonly _nsps: Map<string, Joinable>;
  readonly parentNsps: ReadonlyMap<Matches, Parent>;
  _checkNamespace(name: string, auth: Auth, done: (namespace: Joinable | false) => void): void;
}

interface Child extends Joinable, Pick<Namespace, 'sockets' | 'adapter' | 'eventNames' | 'listenerCount'> {
  readonly _preConnectSockets: { readonly size: number };
  readonly _fns: readonly unknown[];
  _remove(socket: Socket): void;
}

/** Type of the packet by which Socket.IO refuses to connect a client. */
const connectErrorType = 4;

/**
 * Makes a dynamic namespace only for a client that is admitted, and removes it when it is empty again. Plain Socket.IO makes it for everybody
 * who names it, and keeps it for ever.
 *
 * A namespace that the program itself makes or changes stays: its listeners would be lost.
 */
export function guardDynamicNamespaces(io: Server, dependencies: DynamicNamespacesDependencies): void {
  const server = io as unknown as ServerInternals;
  const { checkName, admit, refusal } = dependencies;

  const join = (client: Client, name: string, parent: Parent, auth: Auth, added: unknown) => {
    const existing = server._nsps.get(name);
    if (existing !== undefined) return existing._add(client, auth, added);
    const child = parent.createChild(name);
    removeWhenEmpty(server, parent, child);
    return child._add(client, auth, added);
  };
  const refuse = (client: Client, name: string, error: unknown) => {
    const { message, data } = refusal(error, client.request);
    client._packet({ type: connectErrorType, nsp: name, data: { message, data } });
  };
  /** Calls back with what passes the client to `add`: only there Socket.IO says who it is. */
  const standIn = (name: string, add: Add, done: (namespace: Joinable) => void) => {
    const placeholder: Joinable = { name, _add: add };
    server._nsps.set(name, placeholder);
    try {
      done(placeholder);
    } finally {
      if (server._nsps.get(name) === placeholder) server._nsps.delete(name);
    }
  };

  const checkNamespace: ServerInternals['_checkNamespace'] = (name, auth, done) => {
    if (server.parentNsps.size === 0) return done(false);
    try {
      checkName(name);
    } catch (error) {
      return standIn(name, (client) => refuse(client, name, error), done);
    }
    const patterns = server.parentNsps.entries();
    const tryNext = (): void => {
      const next = patterns.next();
      if (next.done === true) return done(false);
      const [matches, parent] = next.value;
      matches(name, auth, (error, allow) => {
        if (Boolean(error) || !allow) return tryNext();
        const existing = server._nsps.get(name);
        if (existing !== undefined) return done(existing);
        const add: Add = (client, given, added) =>
          admit({ name, auth: given, conn: client.conn, request: client.request }).then(
            () => client.conn.readyState === 'open' && join(client, name, parent, given, added),
            (refused: unknown) => refuse(client, name, refused),
          );
        return standIn(name, add, done);
      });
    };
    return tryNext();
  };
  server._checkNamespace = checkNamespace;
}

function removeWhenEmpty(server: ServerInternals, parent: Parent, child: Child): void {
  const made = attachments(child);
  const add = child._add.bind(child);
  const remove = child._remove.bind(child);
  let adding = 0;
  const removeIfEmpty = () => {
    if (adding + child.sockets.size + child._preConnectSockets.size > 0) return;
    if (attachments(child) !== made || server._nsps.get(child.name) !== child) return;
    server._nsps.delete(child.name);
    parent.children.delete(child);
    void child.adapter.close();
  };
  // After listeners of the program for `disconnect` have run.
  const left = () => setImmediate(removeIfEmpty);
  const addCounted: Add = async (client, auth, added) => {
    adding++;
    try {
      await add(client, auth, added);
    } finally {
      adding--;
      left();
    }
  };
  const removeAndLeave: Child['_remove'] = (socket) => {
    remove(socket);
    if (child.sockets.size === 0) left();
  };
  child._add = addCounted;
  child._remove = removeAndLeave;
}

/** Number of listeners and middleware. */
function attachments(child: Child): number {
  return child.eventNames().reduce((sum, name) => sum + child.listenerCount(name), child._fns.length);
}
