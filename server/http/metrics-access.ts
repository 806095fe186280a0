import type { Request, RequestHandler } from 'express';
import { RefusalError } from '../../shared/errors.js';
import type { Identity } from '../protocol/identity.js';
import { bearerOf } from './api.js';

interface MetricsAccessDependencies {
  readonly authenticate: (token: string) => Identity;
  readonly addressOf: (request: Request) => string;
}

interface MetricsAccessSettings {
  readonly access: 'open' | 'token' | 'loopback';
  /** Each of these roles may read them. */
  readonly roles: readonly string[];
}

/** Refuses callers of `/metrics` whom the settings do not allow to read it. */
export function metricsAccess(
  { authenticate, addressOf }: MetricsAccessDependencies,
  { access, roles }: MetricsAccessSettings,
): RequestHandler {
  return (request, _response, next) => {
    if (access === 'token') {
      const identity = authenticate(bearerOf(request));
      if (!roles.some((role) => identity.roles.includes(role)))
        throw new RefusalError('forbidden', `this needs the role ${roles.join(' or ')}`);
    } else if (access === 'loopback' && !isOnThisMachine(request, addressOf))
      throw new RefusalError('forbidden', 'the metrics can be read only on the machine of the service');
    next();
  };
}

/** A proxy on this machine names its client; without `X-Forwarded-For` the two cannot be told apart. */
function isOnThisMachine(request: Request, addressOf: (request: Request) => string): boolean {
  const address = addressOf(request);
  return address === '::1' || address.startsWith('127.');
}
