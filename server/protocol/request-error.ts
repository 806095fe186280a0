import type { z } from 'zod';
import { RefusalError } from '../../shared/errors.js';
import { didYouMean } from '../primitives/did-you-mean.js';

/** Converts the first problem that a schema found into one sentence with the field and the rule. */
export function requestError(error: z.ZodError, known: readonly string[]): RefusalError {
  const issue = error.issues[0]!;
  const field = pathOf(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const name = field === '' ? key : `${field}.${key}`;
    return new RefusalError('invalid_message', `unknown field ${name}${didYouMean(key, known, 2)}`, {
      field: name,
    });
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
