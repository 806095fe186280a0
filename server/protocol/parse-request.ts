import type { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import { didYouMean } from '../primitives/did-you-mean.js';
import { schemaRule } from '../primitives/schema-rule.js';
import { withoutNulls } from './null-fields.js';

/**
 * Reads a request by its schema. Null for an optional field means that it is absent.
 *
 * @throws RefusalError `invalid_message` with the first problem: the field and its whole rule in plain words; the refusal itself where the
 * wire gives one in the place of the request
 */
export function parseRequest<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  // The text of the request could not be read without loss.
  if (value instanceof RefusalError) throw value;
  const request = withoutNulls(schema, value);
  const parsed = schema.safeParse(request);
  if (parsed.success) return parsed.data;
  // Only now, because most requests are valid: the words of the rules cost something.
  const explained = schema.safeParse(request, { error: schemaRule });
  const { shape } = schema as unknown as { shape?: object };
  throw requestError(explained.error ?? parsed.error, Object.keys(shape ?? {}));
}

/** @param known the fields of the request itself */
function requestError(error: z.ZodError, known: readonly string[]): RefusalError {
  const issue = error.issues[0]!;
  const field = pathOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
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
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`,
    '',
  );
}
