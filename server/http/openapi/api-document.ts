import { z } from 'zod';
import type { ErrorCode } from '../../../shared/errors.js';
import { apiDocumentPath, apiRoutes, type ApiRoute } from '../api-routes.js';
import { refreshBody, refreshBodyLimitBytes, refreshPath } from '../auth-routes.js';
import { idempotencyKeyForm } from '../idempotency-key.js';
import { commandAnswers, pairAnswerSchema } from './api-answers.js';
import { openApiFrame } from './document.js';
import { answerHeaders, errorResponses } from './error-responses.js';
import { bodyOf, fieldsOf, parameterOf, schemaOf } from './json-schema.js';

/** A caller with a token. */
const ofCallers: readonly ErrorCode[] = [
  'unauthorized',
  'token_expired',
  'token_revoked',
  'rate_limited',
  'internal',
];
const ofCommands: readonly ErrorCode[] = [
  'invalid_message',
  'invalid_topic',
  'forbidden',
  'busy',
  'unavailable',
  'read_only',
  'shutting_down',
  'timeout',
];
const ofBodies: readonly ErrorCode[] = [
  'invalid_json',
  'invalid_message',
  'invalid_payload',
  'message_too_large',
  'at_capacity',
];
const ofWrites: readonly ErrorCode[] = ['quota_exceeded', 'outcome_unknown', 'topic_frozen'];

interface ApiDocumentDependencies {
  /** The schema of the requests of a command. */
  readonly schemaOf: (command: string) => z.ZodType;
}

/** The OpenAPI 3.1 document of `/api`, made from the routes and the schemas of the commands. */
export function apiDocument(
  commands: ApiDocumentDependencies,
  { version, bodyLimitBytes }: { readonly version: string; readonly bodyLimitBytes: number },
) {
  const routes = apiRoutes.map((route) => {
    const method = route.query === undefined ? 'post' : 'get';
    return [`/api${route.path}`, { [method]: operationOf(route, commands, bodyLimitBytes) }] as const;
  });
  return openApiFrame({
    title: 'realtime-communication: API for back ends',
    version,
    description:
      'Commands over HTTP, with the same requests and answers as on the sockets. Null for an optional field of a body means that it is ' +
      'absent. Another method than those listed answers 405 `method_not_allowed` with `Allow`.',
    paths: {
      ...Object.fromEntries(routes),
      [`/api${refreshPath}`]: { post: refreshOperation() },
      [`/api${apiDocumentPath}`]: { get: documentOperation() },
    },
  });
}

function operationOf(route: ApiRoute, commands: ApiDocumentDependencies, bodyLimitBytes: number): object {
  const { command, summary, query, example } = route;
  const schema = commands.schemaOf(command);
  const operation = { operationId: command, summary };
  if (query !== undefined) {
    const codes = [...ofCommands, ...ofCallers];
    return {
      ...operation,
      parameters: query.map(({ name, field, description, example: value }) => {
        const { fields, required } = fieldsOf(schemaOf(schema, 'input'));
        const [outer, inner] = field;
        const form = inner === undefined ? fields[outer]! : fieldsOf(fields[outer]!).fields[inner]!;
        return parameterOf(name, 'query', form, {
          required: inner === undefined && required.includes(outer),
          description,
          ...(value !== undefined && { example: value }),
        });
      }),
      responses: responsesOf(commandAnswers[command], codes, false),
    };
  }
  const { key } = fieldsOf(schemaOf(schema, 'input')).fields;
  return {
    ...operation,
    parameters: [
      parameterOf(
        'Idempotency-Key',
        'header',
        {
          anyOf: [
            { ...key, not: { pattern: '^"' } },
            { type: 'string', pattern: idempotencyKeyForm },
          ],
        },
        {
          required: false,
          description:
            'The key of the message: a repetition with the same key stores nothing, and answers with the first position. Plain, or in ' +
            'quotes as the draft of the IETF has it; both name the same key. It wins over `key` in the body.',
          example: 'invoice-17',
        },
      ),
    ],
    requestBody: bodyOf(schema, {
      description: `Read as JSON, whatever its Content-Type; at most ${bodyLimitBytes} bytes, not compressed.`,
      example,
    }),
    responses: responsesOf(
      commandAnswers[command],
      [...ofBodies, ...ofCommands, ...ofCallers, ...ofWrites].filter(
        // The recipient is no topic.
        (code) => command !== 'direct' || !['invalid_topic', 'topic_frozen'].includes(code),
      ),
      true,
    ),
  };
}

function refreshOperation(): object {
  const codes: readonly ErrorCode[] = [...ofBodies, ...ofCallers, 'unavailable'];
  return {
    operationId: 'refreshTokens',
    summary: 'Get a new pair of tokens for a refresh token, which can be used once. Needs no other token.',
    security: [],
    requestBody: bodyOf(refreshBody, {
      description: `Read as JSON, whatever its Content-Type; at most ${refreshBodyLimitBytes} bytes.`,
    }),
    responses: responsesOf(pairAnswerSchema, [...codes, 'conflict'], true),
  };
}

function documentOperation(): object {
  return {
    operationId: 'openapi',
    summary: 'This document.',
    responses: responsesOf(z.looseObject({ openapi: z.string() }), [...ofCallers, 'busy'], false),
  };
}

function responsesOf(answer: z.ZodType, codes: readonly ErrorCode[], hasBody: boolean): object {
  return {
    '200': {
      description: 'Done.',
      headers: answerHeaders,
      content: { 'application/json': { schema: schemaOf(answer, 'output') } },
    },
    ...errorResponses([...new Set(codes)], hasBody),
  };
}
