import { Router, type Request, type RequestHandler, type Response } from 'express';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import type { CommandRouter } from '../commands/router.js';
import { bearerToken } from '../protocol/bearer-token.js';
import type { Connection } from '../protocol/connection.js';
import { singleHeader } from '../protocol/single-header.js';
import type { BodyBudget } from '../limits/body-budget.js';
import { queryRequest } from './api-query.js';
import { apiDocumentPath, apiRoutes } from './api-routes.js';
import type { BoundedResponses } from './bounded-responses.js';
import { sendError } from './errors.js';
import { idempotencyKey } from './idempotency-key.js';
import { sendJson } from './json-body.js';
import { otherMethods } from './other-methods.js';
import { requestBody } from './request-body.js';

interface ApiDependencies {
  readonly router: CommandRouter;
  readonly authenticate: (token: string) => Identity;
  /** @throws RefusalError `token_revoked` */
  readonly checkRevoked: (identity: Identity) => void;
  readonly addressOf: (request: Request) => string;
  readonly responses: BoundedResponses;
  readonly bodies: Pick<BodyBudget, 'open'>;
  /** The OpenAPI document of these routes. */
  readonly document: () => object;
}

/**
 * Commands over HTTP for backends: the same requests and answers as on the sockets. The body of a request is read once the caller is known.
 */
export function apiRouter(
  { router, authenticate, checkRevoked, addressOf, bodies, responses, document }: ApiDependencies,
  settings: { readonly bodyLimitBytes: number },
): Router {
  const api = Router();
  let made: object | undefined;
  const identify: RequestHandler = (request, response, next) => {
    response.locals['caller'] = new HttpCaller(authenticate(bearerOf(request)), addressOf(request));
    next();
  };
  const readBody = requestBody(
    { bodies, callerOf: ({ res }: Request) => `user:${callerOf(res!).identity.userId}` },
    { limitBytes: settings.bodyLimitBytes },
  );

  const run = async (response: Response, command: string, body: unknown) => {
    const caller = callerOf(response);
    // The body took its time.
    checkRevoked(caller.identity);
    const isLarge = router.isExpensive(command);
    const hold = isLarge ? await responses.acquire(response, caller.identity.userId) : undefined;
    if (isLarge && hold === undefined) return;
    const answer = await router.run(caller, command, body);
    if (!answer.ok) sendError(response, answer.error);
    else if (hold === undefined) sendJson(response, answer);
    else responses.send(response, hold, answer);
  };
  const withKey = (request: Request): unknown => {
    const key = singleHeader(request, 'Idempotency-Key');
    // A list is no request. It is not copied: it can be long.
    if (key === undefined || Array.isArray(request.body)) return request.body as unknown;
    return { ...(request.body as object), key: idempotencyKey(key) };
  };
  for (const { path, command, query } of apiRoutes) {
    const route = api.route(path);
    if (query === undefined)
      route.post(identify, readBody, (request, response) => run(response, command, withKey(request)));
    else
      route.get(identify, (request, response) => run(response, command, queryRequest(request.query, query)));
    route.all(otherMethods(query === undefined ? 'POST' : 'GET'));
  }
  api
    .route(apiDocumentPath)
    .get(identify, async (_request, response) => {
      const hold = await responses.acquire(response, callerOf(response).identity.userId);
      if (hold !== undefined) responses.send(response, hold, (made ??= document()));
    })
    .all(otherMethods('GET'));
  return api;
}

/** The bearer token of a request. @throws RefusalError `unauthorized`; `invalid_message` if there are two */
export function bearerOf(request: Request): string {
  const token = bearerToken(singleHeader(request, 'Authorization'));
  if (token === undefined)
    throw new RefusalError('unauthorized', 'no token: give it as an Authorization: Bearer header');
  return token;
}

function callerOf(response: Response): HttpCaller {
  return (response.locals as { readonly caller: HttpCaller }).caller;
}

/** A caller without a connection: it gets an answer, and no events. */
class HttpCaller implements Connection {
  readonly id = 'http';
  readonly wire = 'json';
  readonly sessionId = '';
  readonly connectedAt = 0;

  constructor(
    public identity: Identity,
    readonly address: string,
  ) {}

  emit(): void {}
  disconnect(): void {}
}
