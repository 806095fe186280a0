import { z } from 'zod';

/** A JSON Schema of the dialect 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** JSON Schema of a schema, without the `$schema` line: the dialect is that of OpenAPI 3.1. */
export function schemaOf(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

/** The fields of an object, and those that it must have. */
export function fieldsOf(schema: JsonSchema): {
  readonly fields: Readonly<Record<string, JsonSchema>>;
  readonly required: readonly string[];
} {
  const { properties = {}, required = [] } = schema as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return { fields: properties, required };
}

/** A parameter of a path, a query or a header. Its description is that of its schema. */
export function parameterOf(
  name: string,
  location: 'path' | 'query' | 'header',
  schema: JsonSchema,
  {
    required,
    ...rest
  }: { readonly required: boolean; readonly description?: string; readonly example?: unknown },
): object {
  const { description, ...form } = schema;
  return {
    name,
    in: location,
    required,
    ...(description !== undefined && { description }),
    schema: form,
    ...rest,
  };
}

/** A body of JSON. It is required unless an empty object is accepted: a request without a body is read as one. */
export function bodyOf(
  schema: z.ZodType,
  { description, example }: { readonly description: string; readonly example?: unknown },
): object {
  return {
    description,
    required: !schema.safeParse({}).success,
    content: {
      'application/json': { schema: schemaOf(schema, 'input'), ...(example !== undefined && { example }) },
    },
  };
}
