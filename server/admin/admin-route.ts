import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Identity } from '../protocol/identity.js';

/** Roles of operators, in ascending order: each includes the ones before it. */
export const adminRoles = ['viewer', 'operator', 'admin'] as const;

export type AdminRole = (typeof adminRoles)[number];

/** The roles that are enough where one is needed. */
export function sufficientRoles(needed: AdminRole): readonly AdminRole[] {
  return adminRoles.slice(adminRoles.indexOf(needed));
}

/** Whether somebody has a role, or one that includes it. Everybody with a role of an operator has `viewer`. */
export function hasRole({ roles }: Identity, needed: AdminRole): boolean {
  return sufficientRoles(needed).some((role) => roles.includes(role));
}

/** The operator who sends a request, and the address. */
export interface AdminCaller {
  readonly identity: Identity;
  readonly address: string;
}

/** A request, validated by the schemas of the route. */
export interface AdminRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: AdminCaller;
}

/**
 * One operation of `/admin`. It defines the required role, the request and the answer; the router, the audit
 * log and the OpenAPI document are made from it. Every operation except GET is written to the audit log, and
 * refused while the store is unreachable, unless it does not need it.
 */
export interface AdminRoute {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Under `/admin`, with parameters as express writes them: `/connections/:id`. */
  readonly path: string;
  readonly role: AdminRole;
  /** One line for the OpenAPI document. */
  readonly summary: string;
  readonly params: z.ZodObject | undefined;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  readonly answer: z.ZodType;
  /** A change that needs nothing of the store. */
  readonly worksWithoutStore?: boolean;
  readonly run: (request: AdminRequest<never, never, never>) => Promise<unknown> | unknown;
  /**
   * Instead of `run`, for content that is too large for memory: reads the body and writes the response
   * itself.
   */
  readonly stream?: AdminStream;
}

/** A rejection becomes an error answer, unless the response has started. */
type AdminStream = (request: Request, response: Response, caller: AdminCaller) => Promise<void>;

type Read<Schema, Else> = Schema extends z.ZodType ? z.output<Schema> : Else;

/** Answers are only serialised, so they may be readonly. */
type Answered<Value> = Value extends object ? { readonly [Key in keyof Value]: Answered<Value[Key]> } : Value;

/** Defines a route; the types of its request come from its schemas. */
export function adminRoute<
  Answer extends z.ZodType,
  Params extends z.ZodObject | undefined = undefined,
  Query extends z.ZodObject | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(route: {
  readonly method: AdminRoute['method'];
  readonly path: string;
  readonly role: AdminRole;
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: Answer;
  readonly worksWithoutStore?: boolean;
  readonly run: (
    request: AdminRequest<Read<Params, undefined>, Read<Query, undefined>, Read<Body, undefined>>,
  ) => Promise<Answered<z.output<Answer>>> | Answered<z.output<Answer>>;
}): AdminRoute {
  const { params, query, body } = route;
  return { ...route, params, query, body } as unknown as AdminRoute;
}

/** Defines a route that reads or writes a stream. */
export function adminStream(route: {
  readonly method: AdminRoute['method'];
  readonly path: string;
  readonly role: AdminRole;
  readonly summary: string;
  readonly query?: z.ZodObject;
  /** Schema of the body that the stream reads, for the OpenAPI document. */
  readonly body?: z.ZodType;
  /** Schema of the response, for the OpenAPI document. */
  readonly answer: z.ZodType;
  readonly stream: AdminStream;
}): AdminRoute {
  const run = () => {
    throw new Error('a stream route writes its response itself');
  };
  return { ...route, params: undefined, query: route.query, body: route.body, run };
}
