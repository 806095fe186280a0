import { z } from 'zod';
import type { Permissions } from '../auth/permissions.js';
import type { Command } from './command.js';
import { readPayload, type PayloadLimits } from './payload.js';
import { confirmField, keyField, timeoutField } from './request-fields.js';

/** A message to one user. */
export interface DirectRequest {
  readonly from: string;
  readonly to: string;
  readonly payloadJson: string;
  readonly attachments: readonly Buffer[];
  readonly key?: string;
  readonly confirm: 'stored' | 'delivered';
  readonly timeoutMs: number;
}

export interface DirectAnswer {
  id: string;
  sequence: number;
  /** Connections that acknowledged. */
  delivered: number;
  /** True while nobody has acknowledged: the message waits in the user's inbox. */
  queued: boolean;
  /** Connections of the user that it was sent to. */
  recipients: number;
  duplicate?: true;
}

/** Sends direct messages. */
export interface DirectSender {
  send(request: DirectRequest): Promise<DirectAnswer>;
}

const schema = z.strictObject({
  to: z.string().min(1).max(200),
  payload: z.unknown(),
  key: keyField.optional(),
  confirm: confirmField.optional(),
  timeout_ms: timeoutField.optional(),
});

/** `direct`: a message to all connections of a user, or to the user's inbox. */
export function directCommand(
  { direct, permissions }: { readonly direct: DirectSender; readonly permissions: Permissions },
  settings: PayloadLimits & { readonly confirmTimeoutMs: number },
): Command<z.output<typeof schema>, DirectAnswer> {
  return {
    name: 'direct',
    schema,
    run(connection, request) {
      permissions.check(connection.identity, 'direct', request.to);
      const { json, attachments } = readPayload(request.payload, connection.wire, settings);
      return direct.send({
        from: connection.identity.userId,
        to: request.to,
        payloadJson: json,
        attachments,
        ...(request.key !== undefined && { key: request.key }),
        confirm: request.confirm ?? 'delivered',
        timeoutMs: request.timeout_ms ?? settings.confirmTimeoutMs,
      });
    },
  };
}
