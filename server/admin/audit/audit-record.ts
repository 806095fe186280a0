import { cleanValue } from '../../logging/log-fields.js';
import { cleanText, cutText, escapeUnseen, escapeUnseenInJson } from '../../logging/log-text.js';
import type { StoredRecord } from '../../cluster/shared-store.js';
import type { AdminCaller } from '../admin-route.js';

/** One change, attempted change, or several refused requests of one caller. */
export interface AuditRecord {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly user_id: string;
  readonly address: string;
  readonly replica_id: string;
  /** Method and path, as called; the last of several. */
  readonly action: string;
  /** The request, without secrets. */
  readonly request: unknown;
  /** `ok`, or the code of the error. */
  readonly result: string;
  /** Number of requests. More than one only for refused requests of callers without the role. */
  readonly count: number;
}

/** A record as stored: texts only, none longer than its limit, without secrets or unseen characters. */
export type AuditFields = Readonly<Record<string, string>>;

const requestLimit = 2000;
const textLimit = 500;

/** Prepares a record. */
export function auditFields(
  caller: AdminCaller,
  request: { readonly action: string; readonly content: unknown; readonly result: string },
  origin: { readonly at: number; readonly replicaId: string },
): AuditFields {
  const json = escapeUnseenInJson(JSON.stringify(cleanValue('', request.content ?? null))).trimEnd();
  return {
    at: String(origin.at),
    user_id: shortText(caller.identity.userId),
    address: shortText(caller.address),
    replica_id: origin.replicaId,
    action: shortText(request.action),
    request: json.length <= requestLimit ? json : JSON.stringify(cutText(json, requestLimit)),
    result: request.result,
    count: '1',
  };
}

/** Reads a stored record; those of earlier versions have no count. */
export function readRecord({ id, fields }: StoredRecord): AuditRecord {
  return {
    id,
    at: Number(fields['at']),
    user_id: fields['user_id'] ?? '',
    address: fields['address'] ?? '',
    replica_id: fields['replica_id'] ?? '',
    action: fields['action'] ?? '',
    request: JSON.parse(fields['request'] ?? 'null') as unknown,
    result: fields['result'] ?? '',
    count: Number(fields['count'] ?? 1),
  };
}

function shortText(text: string): string {
  return escapeUnseen(cutText(cleanText(text), textLimit));
}
