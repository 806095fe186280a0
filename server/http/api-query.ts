import type { Request } from 'express';
import { RefusalError } from '../../shared/errors.js';
import { didYouMean } from '../primitives/did-you-mean.js';

type Query = Request['query'];

/** The request of `history` in the parameters of an address. @throws RefusalError `invalid_message` */
export function historyQuery({ query }: Request): object {
  checkNames(query, ['topic', 'limit', 'epoch', 'sequence', 'before_epoch', 'before_sequence']);
  return {
    topic: query['topic'],
    ...number(query, 'limit'),
    ...position(query, 'since', 'epoch', 'sequence'),
    ...position(query, 'before', 'before_epoch', 'before_sequence'),
  };
}

/** The request of `presence` in the parameters of an address. @throws RefusalError `invalid_message` */
export function presenceQuery({ query }: Request): object {
  checkNames(query, ['topic', 'limit', 'cursor']);
  const { topic, cursor } = query;
  return { topic, ...number(query, 'limit'), ...(cursor !== undefined && { cursor }) };
}

function checkNames(query: Query, known: readonly string[]): void {
  for (const name of Object.keys(query))
    if (!known.includes(name)) throw invalid(name, `unknown parameter ${name}${didYouMean(name, known, 2)}`);
}

/** A position has both parts: a sequence alone may belong to another log. */
function position(query: Query, field: string, epochName: string, sequenceName: string): object {
  const { [epochName]: epoch, [sequenceName]: sequence } = query;
  if (epoch === undefined && sequence === undefined) return {};
  for (const [name, other] of [
    [epochName, sequenceName],
    [sequenceName, epochName],
  ] as const)
    if (query[name] === undefined) throw invalid(name, `${name}: is needed with ${other}`);
  return { [field]: { epoch, sequence: number(query, sequenceName)[sequenceName] } };
}

function number(query: Query, name: string): Record<string, number> {
  const text = query[name];
  if (text === undefined) return {};
  if (typeof text !== 'string' || !/^\d{1,16}$/.test(text))
    throw invalid(name, `${name}: must be a whole number, given once`);
  return { [name]: Number(text) };
}

function invalid(field: string, message: string): RefusalError {
  return new RefusalError('invalid_message', message, { field: field.slice(0, 100) });
}
