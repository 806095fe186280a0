import { z } from 'zod';
import { readTopicName } from '../../shared/topic-name.js';
import { positionField } from '../protocol/request-fields.js';
import type { StoredSession } from './session-store.js';

/**
 * The position of a subscription of which only the topic is known: no log ever has it, so that whoever resumes there is told that
 * messages may be missing.
 */
const unknownPosition = { epoch: 'unknown', sequence: 0 } as const;

const topicName = z.string().superRefine((name, context) => {
  try {
    readTopicName(name, 'the topic');
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
});
const time = z.number().min(0).default(0);

/** A session as stored, and as restored: in backups of others its topics are a plain list, and times may be missing. */
const storedSessionSchema = z.object({
  id: z.string().min(1).max(100),
  user_id: z.string().min(1).max(200),
  topics: z
    .union([
      z.record(topicName, positionField),
      z
        .array(topicName)
        .transform((topics) => Object.fromEntries(topics.map((topic) => [topic, unknownPosition]))),
    ])
    .default({}),
  created_at: time,
  updated_at: time,
});

/** What is wrong with a session. */
export interface SessionProblem {
  /** As a path: `topics.news.sequence`; empty for the session itself. */
  readonly field: string;
  readonly rule: string;
}

/** Reads a session from what a file or the store holds. */
export function readSession(
  value: unknown,
): { readonly session: StoredSession } | { readonly problem: SessionProblem } {
  const parsed = storedSessionSchema.safeParse(value);
  if (parsed.success) return { session: parsed.data };
  const { path, message } = mostTelling(parsed.error.issues[0]!, value);
  return { problem: { field: path.join('.'), rule: message } };
}

/** Of `topics`, which may be two things, what is wrong with the one that is there. */
function mostTelling(issue: z.core.$ZodIssue, value: unknown): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const { topics } = value as { topics: unknown };
  if (typeof topics !== 'object' || topics === null)
    return { ...issue, message: 'must map topics to positions, or list topics' };
  const inside = issue.errors[Array.isArray(topics) ? 1 : 0]?.[0];
  if (inside === undefined) return issue;
  const path = [...issue.path, ...inside.path];
  if (inside.code !== 'invalid_key') return { ...inside, path };
  return { ...inside, path, message: inside.issues[0]?.message ?? inside.message };
}
