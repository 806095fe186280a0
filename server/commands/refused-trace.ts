import type { MessageTracer } from '../tracing/message-tracer.js';
import type { RefusedCommand } from './router.js';

/** Traces messages that were refused before their command ran: by a limit, by a mode, or because of their form. */
export function refusedTrace(
  tracer: MessageTracer,
  newId: () => string,
): (refusal: Pick<RefusedCommand, 'connection' | 'name' | 'request' | 'error' | 'ran'>) => void {
  return ({ connection, name, request, error, ran }) => {
    if (ran || (name !== 'publish' && name !== 'direct')) return;
    const { topic, to } = (request ?? {}) as { topic?: unknown; to?: unknown };
    const target = name === 'publish' ? topic : to;
    tracer.refused(connection, name, newId(), typeof target === 'string' ? target : '', error);
  };
}
