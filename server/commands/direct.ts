import { z } from 'zod';
import type { Permissions } from '../auth/permissions.js';
import { senderOf, type Connection } from '../protocol/connection.js';
import type { DirectAnswer, DirectSender } from '../direct/direct-sender.js';
import type { UserQuotas } from '../limits/user-quotas.js';
import type { StillAdmitted } from './still-admitted.js';
import { ackFrame, type Command } from './command.js';
import type { Turn } from './command-turn.js';
import type { readPayload, PayloadLimits } from '../protocol/payload.js';
import {
  confirmField,
  keyField,
  payloadField,
  timeoutField,
  traceField,
  userIdField,
} from '../protocol/request-fields.js';
import type { MessageTrace, MessageTracer } from '../tracing/message-tracer.js';

const schema = z.strictObject({
  to: userIdField,
  payload: payloadField,
  key: keyField.optional(),
  confirm: confirmField.optional(),
  timeout_ms: timeoutField.optional(),
  trace: traceField.optional(),
});

const sending = { name: 'direct', refusedIn: ['read_only', 'maintenance'] } as const;

interface DirectDependencies {
  readonly direct: DirectSender;
  readonly permissions: Permissions;
  readonly newId: () => string;
  /** Checks again whether the client may send at all. */
  readonly stillAdmitted: StillAdmitted;
  /** Checks a payload and makes it a text. */
  readonly readPayload: typeof readPayload;
  /** Counts the bytes of a payload; throws to refuse it. */
  readonly admitBytes: UserQuotas['admitBytes'];
  readonly tracer: Pick<MessageTracer, 'begin'>;
}

/** `direct`: a message to all connections of a user, or to the user's inbox. */
export function directCommand(
  { direct, permissions, newId, stillAdmitted, readPayload, admitBytes, tracer }: DirectDependencies,
  settings: PayloadLimits & { readonly confirmTimeoutMs: number },
): Command<z.output<typeof schema>, DirectAnswer> {
  return {
    name: 'direct',
    schema,
    carriesPayload: true,
    frame: { type: 'Direct', answer: (answer, { id }) => (id === undefined ? [] : [ackFrame(answer)]) },
    refusedIn: sending.refusedIn,
    // The actor of the inbox keeps their order.
    order: { mode: 'together', topics: () => [] },
    async run(connection, request, turn) {
      const id = newId();
      const trace = tracer.begin(connection, 'direct', id, request.to, request.trace === true);
      try {
        const answer = await send(connection, request, id, trace, turn);
        if (request.trace === true) answer.traced = trace !== undefined;
        return answer;
      } catch (error) {
        trace?.failed(error);
        throw error;
      }
    },
  };

  function send(
    connection: Connection,
    request: z.output<typeof schema>,
    id: string,
    trace: MessageTrace | undefined,
    turn: Turn,
  ): Promise<DirectAnswer> {
    const check = () => permissions.check(connection.identity, 'direct', request.to);
    check();
    const { json, attachments } = readPayload(request.payload, connection.wire, settings);
    // It is not held while the message waits for the log and for its recipients.
    request.payload = undefined;
    admitBytes(connection, json, attachments);
    trace?.validated();
    return direct.send({
      id,
      from: senderOf(connection),
      sentBy: connection,
      to: request.to,
      payloadJson: json,
      attachments,
      recheck: () => {
        stillAdmitted(connection, sending);
        check();
      },
      ...(request.key !== undefined && { key: request.key }),
      confirm: request.confirm ?? 'delivered',
      timeoutMs: request.timeout_ms ?? settings.confirmTimeoutMs,
      onStored: () => turn.done(),
      ...(trace && { trace }),
    });
  }
}
