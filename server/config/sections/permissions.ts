import { z } from 'zod';
import { setting, topicPattern } from '../setting.js';

const actions = ['subscribe', 'publish', 'history', 'presence', 'direct'] as const;

const permission = z.strictObject({
  role: z.string().min(1),
  topics: z.array(topicPattern).min(1),
  allow: z.array(z.enum(actions)).min(1),
});

/** Who may do what on which topic. */
export const permissions = setting(
  z.array(permission).default([{ role: '*', topics: ['*'], allow: [...actions] }]),
  'Allowed actions per role and topic: a list of `{ role, topics, allow }`; role `*` is every user.',
);
