/**
 * What a replica that received a request of long-polling (the edge) and the one that holds its transport (the owner) send each other. `id` is the
 * edge's number of the request; `data` are bytes, in Base64. A part of a body has at most {@link partBytes}; the next one follows when the other
 * side has asked for it.
 */
export type EdgeFrame =
  | {
      readonly t: 'request';
      readonly id: number;
      /** Id of the transport. */
      readonly sid: string;
      readonly method: 'GET' | 'POST';
      readonly url: string;
      /** Names and values in turn. */
      readonly headers: readonly string[];
      /** Of the client. */
      readonly address: string;
      readonly data?: string;
      readonly last: boolean;
    }
  | { readonly t: 'body'; readonly id: number; readonly data: string; readonly last: boolean }
  /** The client has taken the last part of the response. */
  | { readonly t: 'read'; readonly id: number }
  /** The client has gone before it had the whole response. */
  | { readonly t: 'abort'; readonly id: number; readonly sid: string }
  /** The edge is shutting down: a poll that waits shall be answered without packets. */
  | { readonly t: 'release'; readonly id: number; readonly sid: string };

export type OwnerFrame =
  | {
      readonly t: 'response';
      readonly id: number;
      readonly status: number;
      readonly headers: readonly string[];
      readonly data?: string;
      readonly last: boolean;
    }
  | { readonly t: 'part'; readonly id: number; readonly data: string; readonly last: boolean }
  /** The last part of the body was taken. */
  | { readonly t: 'continue'; readonly id: number }
  /** The response will not be completed. */
  | { readonly t: 'broken'; readonly id: number }
  /** There is no such transport (any more). */
  | { readonly t: 'gone'; readonly id: number };

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
