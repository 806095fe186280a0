import { Router, type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express';
import type { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import { withTimeout, TimeLimitError } from '../primitives/with-timeout.js';
import { parseRequest } from '../protocol/parse-request.js';
import type { Log } from '../logging/log.js';
import { bearerOf } from '../http/api.js';
import type { BoundedResponses } from '../http/bounded-responses.js';
import { sendError, wireErrorOf } from '../http/errors.js';
import { sendJson } from '../http/json-body.js';
import { otherMethods } from '../http/other-methods.js';
import { requestBody } from '../http/request-body.js';
import type { BodyBudget } from '../limits/body-budget.js';
import {
  hasRole,
  sufficientRoles,
  type AdminCaller,
  type AdminRequest,
  type AdminRole,
  type AdminRoute,
} from './admin-route.js';
import type { AuditLog } from './audit/audit-log.js';

interface AdminRouterDependencies {
  readonly routes: readonly AdminRoute[];
  readonly authenticate: (token: string) => Identity;
  readonly addressOf: (request: Request) => string;
  readonly audit: AuditLog;
  readonly responses: BoundedResponses;
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** Whether changes can be stored: false while Redis is unreachable. */
  readonly canChange: () => boolean;
  readonly log: Log;
}

/**
 * Serves the admin routes. It checks token and role before it reads the request, validates the request by the
 * schemas of the route, and writes every change, also a refused one, to the audit log.
 */
export function adminRouter(
  dependencies: AdminRouterDependencies,
  settings: {
    readonly bodyLimitBytes: number;
    /** Time limit for the answer of a route. */
    readonly answerLimitMs: number;
  },
): Router {
  const router = Router();
  const readBody = requestBody(
    {
      bodies: dependencies.bodies,
      callerOf: ({ res }: Request) =>
        `user:${(res!.locals as { caller: AdminCaller }).caller.identity.userId}`,
    },
    { limitBytes: settings.bodyLimitBytes },
  );
  router.use((request, response, next) => {
    response.set('Cache-Control', 'no-store');
    // Without a token a response reveals nothing, not even which routes exist.
    response.locals['caller'] = callerOf(request, dependencies);
    next();
  });
  for (const route of dependencies.routes)
    router[route.method](route.path, serve(route, dependencies, readBody, settings.answerLimitMs));
  for (const [path, methods] of methodsByPath(dependencies.routes))
    router.all(path, otherMethods(...methods));
  router.use((request) => {
    throw new RefusalError('not_found', `there is no ${request.method} ${request.baseUrl}${request.path}`);
  });
  // Requests that match no route, or have a malformed path, are recorded too.
  router.use(((error: unknown, request, response, next) => {
    const { caller } = response.locals as { caller?: AdminCaller };
    if (caller !== undefined && isChange(request.method))
      void dependencies.audit.add(caller, {
        action: actionOf(request),
        content: request.query,
        result: wireErrorOf(error).code,
        // There is no route that names a role.
        isAllowed: hasRole(caller.identity, 'operator'),
      });
    next(error);
  }) satisfies ErrorRequestHandler);
  return router;
}

/** The methods of each path; paths without parameters first: `/connections/:id` is also the form of `/connections/disable-new`. */
function methodsByPath(routes: readonly AdminRoute[]): [path: string, methods: string[]][] {
  const paths = new Map<string, string[]>();
  for (const { path, method } of routes) paths.set(path, [...(paths.get(path) ?? []), method.toUpperCase()]);
  return [...paths].sort(([one], [other]) => Number(one.includes(':')) - Number(other.includes(':')));
}

function isChange(method: string): boolean {
  return !['GET', 'HEAD', 'OPTIONS'].includes(method);
}

function actionOf(request: Request): string {
  return `${request.method} ${request.baseUrl}${request.path}`;
}

function serve(
  route: AdminRoute,
  dependencies: AdminRouterDependencies,
  readBody: RequestHandler,
  answerLimitMs: number,
): RequestHandler {
  const { audit, responses, canChange, log } = dependencies;
  return async (request, response) => {
    const { caller } = response.locals as { caller: AdminCaller };
    let result = 'ok';
    try {
      requireRole(caller.identity, route.role);
      requireStore(route, canChange);
      if (route.stream !== undefined) {
        await route.stream(request, response, caller);
        return;
      }
      if (route.method !== 'get') await bodyRead(readBody, request, response);
      const asked = readRequest(route, request, caller) as AdminRequest<never, never, never>;
      const answer = () => withTimeout(Promise.resolve(route.run(asked)), answerLimitMs);
      if (route.method !== 'get') {
        sendJson(response, await answer());
        return;
      }
      const hold = await responses.acquire(response, caller.identity.userId);
      if (hold !== undefined) responses.send(response, hold, await answer());
    } catch (error) {
      const wire = wireErrorOf(error instanceof TimeLimitError ? late(route, error) : error);
      result = wire.code;
      if (response.headersSent) {
        log.warn('Admin response aborted', { path: request.path, error });
        response.destroy();
        return;
      }
      sendError(response, wire);
      if (wire.code === 'internal') log.error('Admin request failed', { path: request.path, error });
    } finally {
      if (route.method !== 'get') {
        const asked = { ...request.query, ...(request.body as object | undefined) };
        const isAllowed = hasRole(caller.identity, route.role);
        await audit.add(caller, { action: actionOf(request), content: asked, result, isAllowed });
      }
    }
  };
}

function late({ method }: AdminRoute, { message }: TimeLimitError): RefusalError {
  if (method === 'get') return new RefusalError('timeout', message, { retryAfterMs: 1000 });
  return new RefusalError(
    'outcome_unknown',
    `${message}: the change may still be made. Check, or repeat it`,
    {
      retryAfterMs: 1000,
    },
  );
}

function callerOf(request: Request, { authenticate, addressOf }: AdminRouterDependencies): AdminCaller {
  return { identity: authenticate(bearerOf(request)), address: addressOf(request) };
}

/** @throws RefusalError `unavailable` if the route changes what cannot be stored now */
export function requireStore({ method, worksWithoutStore }: AdminRoute, canChange: () => boolean): void {
  if (method === 'get' || worksWithoutStore === true || canChange()) return;
  throw new RefusalError('unavailable', 'Redis is unreachable: nothing is changed', { retryAfterMs: 1000 });
}

/** @throws RefusalError `forbidden` */
export function requireRole(identity: Identity, needed: AdminRole): void {
  if (hasRole(identity, needed)) return;
  throw new RefusalError('forbidden', `this needs the role ${sufficientRoles(needed).join(' or ')}`);
}

/** Validates a request by the schemas of its route. @throws RefusalError */
export function readRequest(
  route: AdminRoute,
  request: Pick<Request, 'params' | 'query'> & { readonly body?: unknown },
  caller: AdminCaller,
): AdminRequest<unknown, unknown, unknown> {
  return {
    params: read(route.params, request.params),
    query: read(route.query, request.query),
    body: read(route.body, request.body ?? {}),
    caller,
  };
}

function read(schema: z.ZodType | undefined, value: unknown): unknown {
  return schema === undefined ? undefined : parseRequest(schema, value);
}

/** The body parser of express as a promise. */
function bodyRead(readBody: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    void readBody(request, response, (error?: unknown) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });
}
