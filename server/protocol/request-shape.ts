import { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import { schemaRule } from '../primitives/schema-rule.js';
import { unwrapped } from './null-fields.js';

/** More fields than this that a request must not have are not counted. */
const unknownFieldsLimit = 100;
/** Entries of a record whose schema does not say how many it may have (`maxProperties`). */
const entriesLimit = 1000;

/** Finds what is too long in a value, looking at no more of it than the limit. */
type Check = (value: unknown, path: string) => RefusalError | undefined;

const known = new WeakMap<z.ZodType, { readonly check: Check | undefined }>();

/**
 * The refusal of a request with more items, entries or unknown fields than its schema allows; undefined: there is nothing of that kind. To be
 * asked before the schema itself, which looks at each of them and describes each that is wrong: of one megabyte these can be a hundred thousand.
 */
export function tooMuch(schema: z.ZodType, request: unknown): RefusalError | undefined {
  return checkOf(schema)?.(request, '');
}

/** A record of at most `limit` entries. */
export function boundedRecord<Value extends z.ZodType>(value: Value, limit: number) {
  return z.record(z.string(), value).meta({ maxProperties: limit });
}

function checkOf(schema: z.ZodType): Check | undefined {
  let found = known.get(schema);
  if (found === undefined) known.set(schema, (found = { check: makeCheck(unwrapped(schema)) }));
  return found.check;
}

function makeCheck(schema: z.ZodType): Check | undefined {
  if (schema instanceof z.ZodObject) return objectCheck(schema);
  if (schema instanceof z.ZodRecord) return recordCheck(schema);
  if (schema instanceof z.ZodArray) return arrayCheck(schema);
  return undefined;
}

function objectCheck(schema: z.ZodObject): Check {
  const fields = new Map(
    Object.entries(schema.shape as Record<string, z.ZodType>).map(([name, field]) => [name, checkOf(field)]),
  );
  const isStrict = schema.def.catchall instanceof z.ZodNever;
  return (value, path) => {
    if (!isObject(value)) return undefined;
    let unknown = 0;
    for (const name in value) {
      const check = fields.get(name);
      if (check !== undefined) {
        const refusal = check(value[name], path === '' ? name : `${path}.${name}`);
        if (refusal !== undefined) return refusal;
      } else if (isStrict && !fields.has(name) && ++unknown > unknownFieldsLimit)
        return refuse(path, `has more than ${unknownFieldsLimit} unknown fields`, unknownFieldsLimit);
    }
    return undefined;
  };
}

function recordCheck(schema: z.ZodRecord): Check {
  const { maxProperties } = schema.meta() ?? {};
  const limit = typeof maxProperties === 'number' ? maxProperties : entriesLimit;
  const check = checkOf(schema.valueType as z.ZodType);
  return (value, path) => {
    if (!isObject(value)) return undefined;
    let entries = 0;
    for (const _ in value)
      if (++entries > limit) return refuse(path, `must be an object of at most ${limit} entries`, limit);
    if (check === undefined) return undefined;
    for (const name in value) {
      const refusal = check(value[name], `${path}.${name.slice(0, 200)}`);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

function arrayCheck(schema: z.ZodArray): Check {
  const maximum = maximumOf(schema);
  const limit = maximum ?? entriesLimit;
  const check = checkOf(schema.element as z.ZodType);
  const rule =
    maximum !== undefined
      ? schemaRule({ code: 'too_big', origin: 'array', maximum, inst: schema, input: [] })
      : `must be a list of at most ${limit} items`;
  return (value, path) => {
    if (!Array.isArray(value)) return undefined;
    if (value.length > limit) return refuse(path, rule, limit);
    if (check === undefined) return undefined;
    for (let i = 0; i < value.length; i++) {
      const refusal = check(value[i], `${path}[${i}]`);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

function maximumOf(schema: z.ZodArray): number | undefined {
  for (const { _zod } of schema.def.checks ?? []) {
    const { check, maximum } = _zod.def as { readonly check: string; readonly maximum?: unknown };
    if (check === 'max_length' && typeof maximum === 'number') return maximum;
  }
  return undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(field: string, rule: string, limit: number): RefusalError {
  return new RefusalError('invalid_message', `${field === '' ? 'the request' : field}: ${rule}`, {
    ...(field !== '' && { field }),
    limit,
  });
}
