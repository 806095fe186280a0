import { errorTable, type ErrorCode } from '../../../shared/errors.js';
import { bearerChallenge } from '../../protocol/bearer-token.js';

/** The status of a request whose body does not arrive in time, with the code `timeout`. */
const lateBodyStatus = 408;

const rateLimitHeaders = {
  RateLimit: {
    description: 'Requests left, and seconds until there are all again; absent without a limit of requests.',
    schema: { type: 'string' },
    example: 'limit=1000, remaining=999, reset=60',
  },
  'RateLimit-Policy': {
    description: 'Requests per window in seconds; absent without a limit of requests.',
    schema: { type: 'string' },
    example: '1000;w=60',
  },
} as const;

/** Headers of every answer. */
export const answerHeaders = Object.fromEntries(
  Object.keys(rateLimitHeaders).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
);

const waiting = 'Seconds to wait before the request is repeated.';
const waitSchema = { type: 'integer', minimum: 0 } as const;

/** What operations refer to. */
export const errorComponents = {
  headers: {
    ...rateLimitHeaders,
    'Retry-After': { description: waiting, schema: waitSchema },
    'Retry-After-Always': { description: waiting, required: true, schema: waitSchema },
    'WWW-Authenticate': {
      description: 'How to send a token.',
      required: true,
      schema: { type: 'string' },
      example: bearerChallenge(true),
    },
  },
  schemas: {
    Error: {
      type: 'object',
      required: ['error'],
      additionalProperties: false,
      properties: {
        error: {
          type: 'object',
          required: ['code', 'message'],
          additionalProperties: false,
          properties: {
            code: { type: 'string', enum: Object.keys(errorTable) },
            message: { type: 'string' },
            retry_after_ms: {
              type: 'number',
              minimum: 0,
              description: 'Milliseconds to wait before the request is repeated.',
            },
            field: { type: 'string', description: 'The field of the request that is not valid, as a path.' },
            limit: { type: 'number' },
            size: { type: 'number' },
          },
        },
      },
    },
  },
} as const;

/**
 * The refusals of an operation by their status, with the codes of each.
 *
 * @param hasBody the operation reads a body, which may be late
 */
export function errorResponses(codes: readonly ErrorCode[], hasBody: boolean): Record<string, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { http } = errorTable[code];
    byStatus.set(http, [...(byStatus.get(http) ?? []), code]);
  }
  if (hasBody) byStatus.set(lateBodyStatus, ['timeout']);
  const statuses = [...byStatus].sort(([one], [other]) => one - other);
  return Object.fromEntries(statuses.map(([status, some]) => [String(status), responseOf(status, some)]));
}

function responseOf(status: number, codes: readonly ErrorCode[]): object {
  const meanings = codes.map((code) => `- \`${code}\`: ${errorTable[code].meaning}`);
  return {
    description: status === lateBodyStatus ? 'The body has not arrived in time.' : meanings.join('\n'),
    headers: headersOf(status),
    content: {
      'application/json': {
        schema: {
          allOf: [
            { $ref: '#/components/schemas/Error' },
            { properties: { error: { properties: { code: { enum: codes } } } } },
          ],
        },
      },
    },
  };
}

function headersOf(status: number): object {
  return {
    ...answerHeaders,
    ...(status === 401 && { 'WWW-Authenticate': headerOf('WWW-Authenticate') }),
    ...(status === 503 && { 'Retry-After': headerOf('Retry-After-Always') }),
    ...((status === 429 || status === 504) && { 'Retry-After': headerOf('Retry-After') }),
  };
}

function headerOf(name: keyof typeof errorComponents.headers): object {
  return { $ref: `#/components/headers/${name}` };
}
