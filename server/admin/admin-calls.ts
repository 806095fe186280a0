import { RefusalError } from '../../shared/errors.js';
import { wireErrorOf } from '../http/errors.js';
import type { Log } from '../logging/log.js';
import { withTimeout } from '../primitives/with-timeout.js';
import { hasRole, type AdminCaller, type AdminRequest, type AdminRoute } from './admin-route.js';
import { readRequest, requireRole, requireStore } from './admin-router.js';
import type { AuditLog } from './audit/audit-log.js';

/** A change that is asked for otherwise than over HTTP. */
interface AdminCall {
  readonly method: AdminRoute['method'];
  /** Path of the route, as the route has it. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Where it comes from, for the audit log. */
  readonly by: string;
}

interface AdminCallsDependencies {
  readonly routes: readonly AdminRoute[];
  readonly audit: AuditLog;
  /** Whether changes can be stored: false while Redis is unreachable. */
  readonly canChange: () => boolean;
  readonly log: Log;
}

/** Runs admin routes without HTTP, under the same checks: role, store, schemas, time limit, audit log. */
export class AdminCalls {
  constructor(
    private readonly dependencies: AdminCallsDependencies,
    private readonly settings: { readonly answerLimitMs: number },
  ) {}

  /** @throws RefusalError, or what the route throws; either is in the audit log */
  async run(caller: AdminCaller, { method, path, params, body, by }: AdminCall): Promise<unknown> {
    const { routes, audit, canChange, log } = this.dependencies;
    const route = routes.find((one) => one.method === method && one.path === path);
    if (route === undefined) throw new Error(`there is no route ${method} ${path}`);
    let result = 'ok';
    try {
      requireRole(caller.identity, route.role);
      requireStore(route, canChange);
      const request = readRequest(route, { params, query: {}, body }, caller);
      const answer = Promise.resolve(route.run(request as AdminRequest<never, never, never>));
      return await withTimeout(answer, this.settings.answerLimitMs);
    } catch (error) {
      result = wireErrorOf(error).code;
      if (result === 'internal') log.error('Admin request failed', { path, error });
      throw error;
    } finally {
      const filled = path.replace(/:(\w+)/g, (_all, name: string) => encodeURIComponent(params[name] ?? ''));
      // Not awaited: it may wait for the store, and the caller has the answer before, as over HTTP.
      void audit.add(caller, {
        action: `${method.toUpperCase()} /admin${filled}`,
        content: { ...(body as object | undefined), by },
        result,
        isAllowed: hasRole(caller.identity, route.role),
      });
    }
  }

  /** Records and throws the refusal of what no route does. @throws RefusalError `forbidden` */
  refuse(caller: AdminCaller, action: string, message: string): never {
    const isAllowed = hasRole(caller.identity, 'operator');
    void this.dependencies.audit.add(caller, { action, content: {}, result: 'forbidden', isAllowed });
    throw new RefusalError('forbidden', message);
  }
}
