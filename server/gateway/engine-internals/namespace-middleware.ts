import type { Namespace, Socket } from 'socket.io';

/** Middleware of a namespace. */
export type NamespaceMiddleware = (socket: Socket, next: (error?: Error) => void) => void;

/** The list of middleware that a namespace has. */
function listOf(namespace: Namespace): NamespaceMiddleware[] {
  return (namespace as unknown as { readonly _fns: NamespaceMiddleware[] })._fns;
}

/**
 * Makes a middleware the first one of a namespace. A dynamic namespace has the middleware of its parent
 * already when the service first sees it.
 */
export function useFirst(namespace: Namespace, middleware: NamespaceMiddleware): void {
  const before = listOf(namespace).slice();
  namespace.use(middleware);
  const all = listOf(namespace);
  all.splice(0, all.length, middleware, ...before);
}

/**
 * Catches what middleware of a namespace throws or rejects with: in plain Socket.IO that is an unhandled
 * rejection, which ends the program. The client is refused with the error of `onFailed` instead. What middleware gives to `next` is sent as
 * `sendable` returns it. `onRefused` is called with each socket that a middleware refuses. Applies to middleware that the namespace has, and to
 * what is added later.
 */
export function guardMiddleware(
  namespace: Namespace,
  onFailed: (error: unknown, socket: Socket) => Error,
  sendable: (error: unknown, socket: Socket) => Error,
  onRefused: (socket: Socket) => void,
): void {
  const guarded =
    (middleware: NamespaceMiddleware): NamespaceMiddleware =>
    (socket, next) => {
      let settled = false;
      const settle = (error?: Error) => {
        if (settled) return;
        settled = true;
        if (error) onRefused(socket);
        next(error);
      };
      const once = (error?: unknown) => settle(error ? sendable(error, socket) : undefined);
      const failed = (error: unknown) => settle(onFailed(error, socket));
      try {
        // Middleware may be an async function.
        const result: unknown = middleware(socket, once);
        if (result instanceof Promise) result.catch(failed);
      } catch (error) {
        failed(error);
      }
    };
  const list = listOf(namespace);
  list.splice(0, list.length, ...list.map(guarded));
  const use = namespace.use.bind(namespace);
  const useGuarded: typeof namespace.use = (middleware) => use(guarded(middleware as NamespaceMiddleware));
  namespace.use = useGuarded;
}
