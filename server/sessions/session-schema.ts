import { z } from 'zod';
import { readTopicName } from '../../shared/topic-name.js';
import { schemaRule } from '../primitives/schema-rule.js';
import { positionField, sessionIdField, userIdField } from '../protocol/request-fields.js';
import { unknownPosition } from '../topics/start-position.js';
import type { StoredSession } from './session-store.js';

const topicName = z.string().superRefine((name, context) => {
  try {
    readTopicName(name, 'the topic');
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
});
/** A holder is named by a UUID and the name of its replica, encoded. */
const ownerLimit = 2000;
const time = z.number().min(0).default(0);

/**
 * A session as stored and as restored. In backups of other origin, topics may be a plain list, and times may
 * be missing.
 */
const storedSessionSchema = z.object({
  id: sessionIdField,
  user_id: userIdField,
  topics: z
    .union([
      z.record(topicName, positionField),
      z
        .array(topicName)
        .transform((topics) => Object.fromEntries(topics.map((topic) => [topic, unknownPosition]))),
    ])
    .default({}),
  reached: z.record(topicName, positionField).optional(),
  created_at: time,
  updated_at: time,
  inbox: positionField.optional(),
  generation: z.int().min(0).optional(),
  owner: z.string().max(ownerLimit).nullable().optional(),
});

/** A problem in a session. */
export interface SessionProblem {
  /** As a path: `topics.news.sequence`; empty for the session itself. */
  readonly field: string;
  readonly rule: string;
}

/** Reads a session from a file or the store. */
export function readSession(
  value: unknown,
): { readonly session: StoredSession } | { readonly problem: SessionProblem } {
  const parsed = storedSessionSchema.safeParse(value, { error: schemaRule });
  if (parsed.success) return { session: parsed.data };
  const { path, message } = mostTelling(parsed.error.issues[0]!, value);
  return { problem: { field: path.join('.'), rule: message } };
}

/** `topics` has two forms; this selects the problem of the form that is present. */
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
