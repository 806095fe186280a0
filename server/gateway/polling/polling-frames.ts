import { z } from 'zod';

/** The number of a request at its edge. */
const id = z.int();
const sid = z.string();
const last = z.boolean();
/** Bytes in Base64. */
const data = z.string();
/** Names and values in turn. */
const headers = z.array(z.string()).refine(({ length }) => length % 2 === 0);

const edgeFrame = z.discriminatedUnion('t', [
  z.object({
    t: z.literal('request'),
    id,
    /** Id of the transport. */
    sid,
    method: z.enum(['GET', 'POST']),
    url: z.string(),
    headers,
    /** Of the client. */
    address: z.string(),
    data: data.exactOptional(),
    last,
  }),
  z.object({ t: z.literal('body'), id, data, last }),
  /** The client has taken the last part of the response. */
  z.object({ t: z.literal('read'), id }),
  /** The client has gone before it had the whole response. */
  z.object({ t: z.literal('abort'), id, sid }),
  /** The edge is shutting down: a poll that waits shall be answered without packets. */
  z.object({ t: z.literal('release'), id, sid }),
]);

const ownerFrame = z.discriminatedUnion('t', [
  z.object({
    t: z.literal('response'),
    id,
    status: z.int().min(200).max(599),
    headers,
    data: data.exactOptional(),
    last,
  }),
  z.object({ t: z.literal('part'), id, data, last }),
  /** The last part of the body was taken. */
  z.object({ t: z.literal('continue'), id }),
  /** The response will not be completed. */
  z.object({ t: z.literal('broken'), id }),
  /** There is no such transport (any more). */
  z.object({ t: z.literal('gone'), id }),
]);

const anyFrame = z.union([edgeFrame, ownerFrame]);

/**
 * What a replica that received a request of long-polling (the edge) and the one that holds its transport (the owner) send each other. `id` is the
 * edge's number of the request; `data` are bytes, in Base64. A part of a body has at most {@link partBytes}; the next one follows when the other
 * side has asked for it.
 */
export type EdgeFrame = z.output<typeof edgeFrame>;
export type OwnerFrame = z.output<typeof ownerFrame>;

/** A frame as it has come over the bus; undefined if it is none that this release knows. */
export function readFrame(frame: unknown): EdgeFrame | OwnerFrame | undefined {
  return anyFrame.safeParse(frame).data;
}

/** Bytes of one part of a body. */
export const partBytes = 64 * 1024;

const edgeTypes: readonly string[] = [
  'request',
  'body',
  'read',
  'abort',
  'release',
] satisfies EdgeFrame['t'][];

/** Whether a frame was sent by an edge, to the owner. */
export function isEdgeFrame(frame: EdgeFrame | OwnerFrame): frame is EdgeFrame {
  return edgeTypes.includes(frame.t);
}

/** About the size of a frame on the bus. */
export function sizeOf(frame: EdgeFrame | OwnerFrame): number {
  const { data, headers } = frame as { readonly data?: string; readonly headers?: readonly string[] };
  let bytes = 64 + (data?.length ?? 0);
  for (const text of headers ?? []) bytes += text.length + 3;
  return bytes;
}
