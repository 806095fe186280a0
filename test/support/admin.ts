import assert from 'node:assert/strict';
import { z } from 'zod';
import { tokenOf, type TestReplica } from './replica.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers of many shapes
export type Json = Record<string, any>;

interface Operation {
  'x-role': string;
  responses: {
    '200': { content: { 'application/json': { schema: Parameters<typeof z.fromJSONSchema>[0] } } };
  };
}

/** A replica's OpenAPI document of its own `/admin`. */
export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
}

const documents = new WeakMap<TestReplica, OpenApi>();

/** The OpenAPI document of a replica. */
export async function openApiOf(replica: TestReplica): Promise<OpenApi> {
  let document = documents.get(replica);
  if (document === undefined) {
    document = (await request(replica, 'GET', '/openapi.json')).body as OpenApi;
    documents.set(replica, document);
  }
  return document;
}

/** Calls `/admin` as curl does: JSON with the content type of a form. */
export async function request(
  replica: TestReplica,
  method: string,
  path: string,
  body?: object,
  token: string | null = tokenOf('olga', { roles: ['admin'] }),
): Promise<{ status: number; body: Json }> {
  const response = await fetch(`${replica.url}/admin${path}`, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Json };
}

/** Calls a route that must succeed, and compares its answer with the served OpenAPI document. */
export async function ok(replica: TestReplica, method: string, path: string, body?: object): Promise<Json> {
  const answer = await request(replica, method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  const operation = find(await openApiOf(replica), method, path);
  const schema = z.fromJSONSchema(operation.responses['200'].content['application/json'].schema);
  const parsed = schema.safeParse(answer.body);
  assert.ok(
    parsed.success,
    `${method} ${path} answers differently than documented: ${parsed.error?.message}`,
  );
  return answer.body;
}

function find({ paths }: OpenApi, method: string, path: string): Operation {
  const steps = `/admin${path.split('?')[0]}`.split('/');
  const fits = (template: string) => {
    const wanted = template.split('/');
    return (
      wanted.length === steps.length && wanted.every((step, i) => step.startsWith('{') || step === steps[i])
    );
  };
  const candidates = Object.keys(paths)
    .filter((template) => fits(template) && paths[template]![method.toLowerCase()] !== undefined)
    // The path with the fewest parameters matches: /connections/disable-new, not /connections/{id}.
    .sort((a, b) => a.split('{').length - b.split('{').length);
  const found = candidates[0];
  assert.ok(found !== undefined, `the document lacks ${method} ${path}`);
  return paths[found]![method.toLowerCase()]!;
}
