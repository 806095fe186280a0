import { closest, distance } from 'fastest-levenshtein';
import type { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';

/** Turns the first problem that a schema found into one sentence that names the field and the rule. */
export function requestError(error: z.ZodError, known: readonly string[]): RefusalError {
  const issue = error.issues[0]!;
  const field = pathOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const near = known.length === 0 ? undefined : closest(key, [...known]);
    const hint =
      near !== undefined && distance(key, near) <= Math.max(2, key.length / 2)
        ? `; did you mean ${near}?`
        : '';
    const name = field === '' ? key : `${field}.${key}`;
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
