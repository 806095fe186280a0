import type { z } from 'zod';
import type { ErrorCode } from '../../shared/errors.js';
import { openApiFrame } from '../http/openapi/document.js';
import { answerHeaders, errorResponses } from '../http/openapi/error-responses.js';
import { bodyOf, fieldsOf, parameterOf, schemaOf } from '../http/openapi/json-schema.js';
import type { AdminRoute } from './admin-route.js';

const ofReads: readonly ErrorCode[] = [
  'invalid_message',
  'invalid_topic',
  'unauthorized',
  'token_expired',
  'token_revoked',
  'forbidden',
  'not_found',
  'rate_limited',
  'internal',
  'busy',
  'unavailable',
  'shutting_down',
  'timeout',
];
const ofChanges: readonly ErrorCode[] = [
  'invalid_json',
  'invalid_payload',
  'message_too_large',
  'conflict',
  'at_capacity',
  'outcome_unknown',
];

/** Once for all operations: there are many. */
const readErrors = errorResponses(ofReads, false);
const changeErrors = errorResponses([...ofReads, ...ofChanges], true);
const errorsOf = {
  Read: references(readErrors, 'Read'),
  Change: references(changeErrors, 'Change'),
};

function nameOf(kind: string, status: string): string {
  return `${kind}Error${status}`;
}

function references(errors: Readonly<Record<string, object>>, kind: string): Record<string, object> {
  return Object.fromEntries(
    Object.keys(errors).map((status) => [status, { $ref: `#/components/responses/${nameOf(kind, status)}` }]),
  );
}

function named(errors: Readonly<Record<string, object>>, kind: string): Record<string, object> {
  return Object.fromEntries(Object.entries(errors).map(([status, error]) => [nameOf(kind, status), error]));
}

function parametersOf(schema: z.ZodObject | undefined, location: 'path' | 'query'): object[] {
  if (schema === undefined) return [];
  const { fields, required } = fieldsOf(schemaOf(schema, 'input'));
  return Object.entries(fields).map(([name, field]) =>
    parameterOf(name, location, field, { required: location === 'path' || required.includes(name) }),
  );
}

function operationOf(route: AdminRoute): object {
  return {
    operationId: `${route.method} ${route.path}`.replace(/[^A-Za-z0-9]+/g, '_').replace(/_$/, ''),
    summary: route.summary,
    description: `Role: ${route.role}.`,
    'x-role': route.role,
    parameters: [...parametersOf(route.params, 'path'), ...parametersOf(route.query, 'query')],
    ...(route.body !== undefined && {
      requestBody: bodyOf(route.body, { description: 'Read as JSON, whatever its Content-Type.' }),
    }),
    responses: {
      '200': {
        description: 'Done.',
        headers: answerHeaders,
        content: { 'application/json': { schema: schemaOf(route.answer, 'output') } },
      },
      ...errorsOf[route.method === 'get' ? 'Read' : 'Change'],
    },
  };
}

/** The OpenAPI 3.1 document, generated from the admin routes. */
export function openApiDocument(routes: readonly AdminRoute[], version: string) {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = `/admin${route.path.replace(/:(\w+)/g, '{$1}')}`;
    (paths[path] ??= {})[route.method] = operationOf(route);
  }
  return openApiFrame({
    title: 'realtime-communication: admin API',
    version,
    description:
      'For operators. Another method than those listed answers 405 `method_not_allowed` with `Allow`.',
    paths,
    components: { responses: { ...named(readErrors, 'Read'), ...named(changeErrors, 'Change') } },
  });
}
