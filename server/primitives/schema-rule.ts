import type { z } from 'zod';

/** One check of a schema. */
interface CheckDefinition {
  readonly check?: string;
  readonly value?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

/** What is read of a schema: its kind, and the checks with its limits. */
interface SchemaView {
  readonly _zod: {
    readonly def: CheckDefinition & {
      readonly type: string;
      readonly format?: string;
      readonly element?: SchemaView;
      readonly checks?: readonly { readonly _zod: { readonly def: CheckDefinition } }[];
    };
  };
  meta?(): { readonly title?: string } | undefined;
}

/**
 * The message of a problem that a schema has found, for `safeParse(value, { error: schemaRule })`: the whole rule of the field in plain words,
 * as what follows `field: `. A message that the schema itself gives is used instead.
 */
export function schemaRule(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${kindOf(viewOf(issue), issue.expected)}`;
    case 'too_big':
    case 'too_small':
      return `must be ${kindOf(viewOf(issue), issue.origin)}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : `must be ${oneOf(issue.values)}`;
    case 'invalid_format':
      return issue.format === 'uuid' ? 'must be a UUID' : `must have the form ${issue.format}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'unrecognized_keys':
      return `has the unknown field ${issue.keys[0]}`;
    case 'invalid_key':
      return `has a wrong key: ${issue.issues[0]?.message ?? 'it is not allowed'}`;
    case 'invalid_element':
      return `has a wrong item: ${issue.issues[0]?.message ?? 'it is not allowed'}`;
    case 'invalid_union':
      return 'has none of the allowed forms';
    default:
      return 'is not valid';
  }
}

/** The schema that a value did not fit: a check that failed belongs to it. */
function viewOf({ schema, inst }: z.core.$ZodRawIssue): SchemaView | undefined {
  return (schema ?? inst) as unknown as SchemaView | undefined;
}

function kindOf(view: SchemaView | undefined, fallback: string): string {
  const def = view?._zod.def;
  const checks = def === undefined ? [] : [def, ...(def.checks ?? []).map((check) => check._zod.def)];
  const limit = (name: string, key: 'value' | 'minimum' | 'maximum') => {
    const value = checks.find(({ check }) => check === name)?.[key];
    return typeof value === 'number' ? value : undefined;
  };
  const [shortest, longest] = [limit('min_length', 'minimum'), limit('max_length', 'maximum')];
  switch (def?.type ?? fallback) {
    case 'string':
      return def?.format === 'uuid' ? 'a UUID' : `a string${sizeOf(shortest, longest, 'character')}`;
    case 'number':
    case 'int': {
      const isWhole = checks.some(({ check }) => check === 'number_format');
      const range = rangeOf(limit('greater_than', 'value'), limit('less_than', 'value'));
      return `${isWhole ? 'a whole number' : 'a number'}${range}`;
    }
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${sizeOf(shortest, longest, def?.element?.meta?.()?.title ?? 'item')}`;
    default:
      return 'an object';
  }
}

function rangeOf(least: number | undefined, most: number | undefined): string {
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (least !== undefined) return ` of at least ${least}`;
  return most === undefined ? '' : ` of at most ${most}`;
}

function sizeOf(least: number | undefined, most: number | undefined, unit: string): string {
  const units = `${unit}${(most ?? least) === 1 ? '' : 's'}`;
  if (least !== undefined && most !== undefined) return ` of ${least} to ${most} ${units}`;
  if (least !== undefined) return ` of at least ${least} ${units}`;
  return most === undefined ? '' : ` of at most ${most} ${units}`;
}

function oneOf(values: readonly unknown[]): string {
  const quoted = values.map((value) => JSON.stringify(value));
  const last = quoted.at(-1)!;
  return quoted.length === 1 ? last : `${quoted.slice(0, -1).join(', ')} or ${last}`;
}
