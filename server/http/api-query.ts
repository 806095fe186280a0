import type { Request } from 'express';
import { RefusalError } from '../../shared/errors.js';
import { didYouMean } from '../primitives/did-you-mean.js';

type Query = Request['query'];

/** A parameter of an address: one field of the request of a command. */
export interface QueryParameter {
  readonly name: string;
  /** The field, or a field inside it. Of such a field, all parts have to be given: a sequence alone may belong to another log. */
  readonly field: readonly [string, string?];
  readonly isNumber?: true;
  /** For the OpenAPI document. */
  readonly description: string;
  readonly example?: unknown;
}

/** Reads the request of a command from the parameters of an address. @throws RefusalError `invalid_message` */
export function queryRequest(query: Query, parameters: readonly QueryParameter[]): object {
  checkNames(
    query,
    parameters.map(({ name }) => name),
  );
  const request: Record<string, unknown> = {};
  for (const parameter of parameters) {
    const { name, field, isNumber } = parameter;
    if (query[name] === undefined) {
      const other = parameters.find((one) => one !== parameter && one.field[0] === field[0]);
      if (other !== undefined && query[other.name] !== undefined)
        throw invalid(name, `${name}: is needed with ${other.name}`);
      continue;
    }
    const [outer, inner] = field;
    const value = isNumber === true ? number(query, name) : query[name];
    if (inner === undefined) request[outer] = value;
    else request[outer] = { ...(request[outer] as object | undefined), [inner]: value };
  }
  return request;
}

function checkNames(query: Query, known: readonly string[]): void {
  for (const name of Object.keys(query))
    if (!known.includes(name)) throw invalid(name, `unknown parameter ${name}${didYouMean(name, known, 2)}`);
}

function number(query: Query, name: string): number {
  const text = query[name];
  if (typeof text !== 'string' || !/^\d{1,16}$/.test(text))
    throw invalid(name, `${name}: must be a whole number, given once`);
  return Number(text);
}

function invalid(field: string, message: string): RefusalError {
  return new RefusalError('invalid_message', message, { field: field.slice(0, 100) });
}
