import assert from 'node:assert/strict';
import { z } from 'zod';

/** A JSON Schema. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

interface Answer {
  readonly $ref?: string;
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly required?: boolean; readonly schema: Schema }>>;
  readonly content: { readonly 'application/json': { readonly schema: Schema } };
}

/** One operation of an OpenAPI document. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: { readonly 'application/json': { readonly schema: Schema; readonly example?: object } };
  };
  readonly responses: Readonly<Record<string, Answer>>;
}

/** An answer as it came. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** An OpenAPI document as a replica serves it. */
export class OpenApiDocument {
  constructor(
    readonly content: { readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>> },
  ) {}

  /** All operations, with their references resolved. */
  get operations(): readonly Operation[] {
    return Object.entries(this.content.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, operation]) => ({ ...(this.resolved(operation) as object), method, path }) as Operation,
      ),
    );
  }

  operation(method: string, path: string): Operation {
    const found = this.operations.find((one) => one.method === method && one.path === path);
    assert.ok(found !== undefined, `the document lacks ${method} ${path}`);
    return found;
  }

  /** A part of the document with what it refers to in the place of the references. */
  resolved(part: unknown): unknown {
    if (Array.isArray(part)) return part.map((item) => this.resolved(item));
    if (typeof part !== 'object' || part === null) return part;
    if ('$ref' in part) return this.resolved(this.at(String(part.$ref)));
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, this.resolved(value)]));
  }

  private at(reference: string): unknown {
    const [root, ...steps] = reference.split('/');
    assert.equal(root, '#', reference);
    return steps.reduce<unknown>((part, step) => {
      const next = (part as Record<string, unknown>)[step];
      assert.ok(next !== undefined, `${reference} leads nowhere`);
      return next;
    }, this.content);
  }
}

/** Compares an answer with the operation that it belongs to: status, headers and body. */
export function assertDocumented(operation: Operation, { status, headers, body }: Answered): void {
  const what = `${operation.method} ${operation.path} → ${status} ${JSON.stringify(body).slice(0, 300)}`;
  const answer = operation.responses[String(status)];
  assert.ok(answer !== undefined, `${what}: a status that is not in the document`);
  for (const [name, header] of Object.entries(answer.headers ?? {})) {
    const value = headers.get(name);
    if (header.required === true) assert.notEqual(value, null, `${what}: lacks ${name}`);
  }
  for (const name of ['retry-after', 'www-authenticate', 'ratelimit', 'ratelimit-policy']) {
    const names = Object.keys(answer.headers ?? {}).map((one) => one.toLowerCase());
    if (headers.has(name)) assert.ok(names.includes(name), `${what}: ${name} is not in the document`);
  }
  const parsed = z
    .fromJSONSchema(answer.content['application/json'].schema as Parameters<typeof z.fromJSONSchema>[0])
    .safeParse(body);
  assert.ok(parsed.success, `${what}: ${parsed.error?.message}`);
}
