import { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import { didYouMean } from '../primitives/did-you-mean.js';
import { schemaRule } from '../primitives/schema-rule.js';
import { beginningOf } from './name.js';
import { withoutNulls } from './null-fields.js';
import { tooMuch } from './request-shape.js';

/** So much of a key of the client comes back in the refusal: more than the name of a topic has. */
const shownLength = 200;

/**
 * Reads a request by its schema. Null for an optional field means that it is absent.
 *
 * @throws RefusalError `invalid_message` with the first problem: the field and its whole rule in plain words; the refusal itself where the
 * wire gives one in the place of the request
 */
export function parseRequest<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  // The text of the request could not be read without loss.
  if (value instanceof RefusalError) throw value;
  const refusal = tooMuch(schema, value);
  if (refusal !== undefined) throw refusal;
  // As `safeParse`, which would put every problem into words, and all of them into one text.
  const parsed = schema._zod.run({ value: withoutNulls(schema, value), issues: [] }, { async: false });
  if (parsed instanceof Promise) throw new z.core.$ZodAsyncError();
  const [first] = parsed.issues;
  if (first === undefined) return parsed.value as Value;
  const { shape } = schema as unknown as { shape?: object };
  throw requestError(describe(first), Object.keys(shape ?? {}));
}

/** The problem with the rule of its field in plain words. */
function describe(issue: z.core.$ZodRawIssue): z.core.$ZodIssue {
  return z.core.util.finalizeIssue(issue, { async: false, error: schemaRule }, z.core.config());
}

/** @param known the fields of the request itself */
function requestError(issue: z.core.$ZodIssue, known: readonly string[]): RefusalError {
  const field = pathOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = beginningOf(issue.keys[0]!, shownLength);
    const name = field === '' ? key : `${field}.${key}`;
    const hint = field === '' ? didYouMean(key, known, 2) : '';
    return new RefusalError('invalid_message', `unknown field ${name}${hint}`, { field: name });
  }
  const limit =
    'maximum' in issue ? Number(issue.maximum) : 'minimum' in issue ? Number(issue.minimum) : undefined;
  const message = `${field === '' ? 'the request' : field}: ${issue.message}`;
  return new RefusalError('invalid_message', message, {
    ...(field !== '' && { field }),
    ...(limit !== undefined && { limit }),
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? shown(step) : `${text}.${shown(step)}`,
    '',
  );
}

function shown(step: PropertyKey): string {
  return beginningOf(String(step), shownLength);
}
