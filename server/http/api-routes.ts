import type { QueryParameter } from './api-query.js';

/**
 * One command as a route of `/api`. The router and the OpenAPI document are made from it; fields and their limits come from the schema of
 * the command.
 */
export interface ApiRoute {
  readonly path: string;
  readonly command: 'publish' | 'direct' | 'history' | 'presence';
  /** For the OpenAPI document. */
  readonly summary: string;
  /** Reads the request from the address (`GET`); undefined: from the body (`POST`), whose key may come in `Idempotency-Key`. */
  readonly query?: readonly QueryParameter[];
  /** A body, for the OpenAPI document. */
  readonly example?: object;
}

/** The commands over HTTP. */
export const apiRoutes: readonly ApiRoute[] = [
  {
    path: '/publish',
    command: 'publish',
    summary: 'Publish a message to a topic. The answer comes once it is stored.',
    example: { topic: 'invoices', payload: { number: 17 } },
  },
  {
    path: '/direct',
    command: 'direct',
    summary: 'Send a message to a user. Without a connection, it waits in the inbox of the user.',
    example: { to: 'ann', payload: { text: 'Your invoice is ready.' }, confirm: 'stored' },
  },
  {
    path: '/history',
    command: 'history',
    summary: 'Read the stored messages of a topic, page by page, oldest first.',
    query: [
      { name: 'topic', field: ['topic'], description: 'Name of the topic.', example: 'invoices' },
      {
        name: 'limit',
        field: ['limit'],
        isNumber: true,
        description: 'Most messages of a page.',
        example: 10,
      },
      {
        name: 'epoch',
        field: ['since', 'epoch'],
        description: 'Only messages after this position; with `sequence`.',
      },
      { name: 'sequence', field: ['since', 'sequence'], isNumber: true, description: 'With `epoch`.' },
      {
        name: 'before_epoch',
        field: ['before', 'epoch'],
        description: 'Only messages before this position; with `before_sequence`, and not with `epoch`.',
      },
      {
        name: 'before_sequence',
        field: ['before', 'sequence'],
        isNumber: true,
        description: 'With `before_epoch`.',
      },
    ],
  },
  {
    path: '/presence',
    command: 'presence',
    summary: 'Read which users are subscribed to a topic, page by page.',
    query: [
      { name: 'topic', field: ['topic'], description: 'Name of the topic.', example: 'invoices' },
      {
        name: 'limit',
        field: ['limit'],
        isNumber: true,
        description: 'Most users of a page, about.',
        example: 100,
      },
      { name: 'cursor', field: ['cursor'], description: '`next.cursor` of the page before.' },
    ],
  },
];

/** Where the OpenAPI document of `/api` is. */
export const apiDocumentPath = '/openapi.json';
