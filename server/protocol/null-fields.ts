import { z } from 'zod';

/** What null means for the fields of an object. */
interface NullRules {
  /** Fields that may be absent and have no null value of their own. */
  readonly absent: ReadonlySet<string>;
  /** Fields that are objects with rules of their own. */
  readonly objects: ReadonlyMap<string, z.ZodType>;
}

const known = new WeakMap<z.ZodType, NullRules>();

/**
 * A request without the optional fields that are null. Clients of many languages write null for what is not
 * set. A request without such fields is returned as it is.
 */
export function withoutNulls(schema: z.ZodType, request: unknown): unknown {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return request;
  let changed: Record<string, unknown> | undefined;
  for (const name in request) {
    const value = (request as Record<string, unknown>)[name];
    if (typeof value !== 'object') continue;
    const rules = rulesOf(schema);
    if (value === null) {
      if (rules.absent.has(name)) delete (changed ??= { ...request })[name];
      continue;
    }
    const inner = rules.objects.get(name);
    const read = inner === undefined ? value : withoutNulls(inner, value);
    if (read !== value) (changed ??= { ...request })[name] = read;
  }
  return changed ?? request;
}

function rulesOf(schema: z.ZodType): NullRules {
  let rules = known.get(schema);
  if (rules === undefined) known.set(schema, (rules = read(schema)));
  return rules;
}

function read(schema: z.ZodType): NullRules {
  const fields = schema instanceof z.ZodObject ? Object.entries(schema.shape as z.ZodRawShape) : [];
  const absent = new Set<string>();
  const objects = new Map<string, z.ZodType>();
  for (const [name, field] of fields as [string, z.ZodType][]) {
    if (field.safeParse(undefined).success && !field.safeParse(null).success) absent.add(name);
    const inner = unwrapped(field);
    if (inner instanceof z.ZodObject) objects.set(name, inner);
  }
  return { absent, objects };
}

/** The schema inside `optional`, `default` and the like. */
export function unwrapped(field: z.ZodType): z.ZodType {
  const { innerType } = field.def as { readonly innerType?: z.ZodType };
  return innerType === undefined ? field : unwrapped(innerType);
}
