import { z } from 'zod';
import { isTopicPattern } from '../../shared/topic-name.js';

/** One setting. Its schema defines type, limits and default; its meaning is shown in `docs/config.md`. */
export const setting = <Schema extends z.ZodType>(schema: Schema, meaning: string) =>
  schema.meta({ description: meaning });

/** A whole number; 0 often means none. */
export const count = (initial: number, max = 1_000_000_000) => z.int().min(0).max(max).default(initial);

/** A whole number from 1. */
export const positive = (initial: number, max = 1_000_000_000) => z.int().min(1).max(max).default(initial);

/** Any text. */
export const text = (initial: string) => z.string().default(initial);

/** A text that may be left out, but not empty. */
export const optionalText = () => z.string().min(1).optional();

/** The address of a service that is called over HTTP. */
export const webAddress = z.url({
  protocol: /^https?$/,
  error: 'must be an address that begins with http:// or https://',
});

/** A topic name, or a pattern of topic names. */
export const topicPattern = z
  .string()
  .refine(isTopicPattern, 'must be a topic name, in which * stands for any characters');
