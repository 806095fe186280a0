import type { OpenWire, Wire, WireHandlers } from '../../../bench/chaos/clients/wire.js';
import type { StoredMessage } from '../../../bench/chaos/history/event.js';
import type { Position } from '../../../shared/position.js';

interface Log {
  epoch: string;
  readonly messages: StoredMessage[];
  readonly keys: Map<string, StoredMessage>;
}

/** A faultless service in a few lines: one log, no network. Its clients are the real ones of chaos runs. */
export class MemoryService {
  readonly log: Log = { epoch: 'e1', messages: [], keys: new Map() };
  private readonly subscribers = new Set<WireHandlers>();
  private lastId = 0;

  readonly openWire: OpenWire = (_kind, _opening, handlers): Wire => {
    let isOpen = true;
    setImmediate(() =>
      handlers.onEvent('status', { status: 'connected', details: { session_id: 's', topics: [] } }, () => {}),
    );
    return {
      call: (command, request) =>
        new Promise((resolve) =>
          setImmediate(() => {
            if (!isOpen) resolve(undefined);
            else if (command === 'publish') resolve(this.publish(request));
            else this.subscribe(request, handlers, resolve);
          }),
        ),
      pauseReading: () => {},
      abort: () => {
        if (!isOpen) return;
        isOpen = false;
        this.subscribers.delete(handlers);
        handlers.onEnd('aborted');
      },
    };
  };

  get end(): Position {
    return { epoch: this.log.epoch, sequence: this.log.messages.length };
  }

  /** Loses the last messages, changes the epoch, and notifies every subscriber. */
  loseTail(count: number): void {
    for (const { body } of this.log.messages.splice(-count)) this.log.keys.delete(body);
    this.log.epoch = 'e2';
    for (const one of this.subscribers)
      one.onEvent('gap', { topic: 't', ...this.end, reason: 'log_rolled_back' }, () => {});
  }

  private publish({ payload, key }: Record<string, unknown>): {
    ok: true;
    id: string;
    epoch: string;
    sequence: number;
  } {
    const first = this.log.keys.get(String(key));
    if (first !== undefined) return { ok: true, ...first, ...{ duplicate: true } };
    const { body } = payload as { body: string };
    const { epoch, messages, keys } = this.log;
    const message = { id: `m${++this.lastId}`, epoch, sequence: messages.length + 1, body };
    messages.push(message);
    keys.set(String(key), message);
    for (const one of this.subscribers) one.onEvent('message', eventOf(message), () => {});
    return { ok: true, ...message };
  }

  private subscribe(
    { since }: Record<string, unknown>,
    handlers: WireHandlers,
    answer: (given: { ok: true; topics: object[] }) => void,
  ): void {
    const from = (since as Record<string, Position> | undefined)?.['t'];
    const { end } = this;
    answer({
      ok: true,
      topics: [
        { topic: 't', ...end, ...(from && { recovered: true, missed: end.sequence - from.sequence }) },
      ],
    });
    for (const message of from === undefined ? [] : this.log.messages.slice(from.sequence))
      handlers.onEvent('message', eventOf(message), () => {});
    this.subscribers.add(handlers);
  }
}

function eventOf({ body, ...position }: StoredMessage): Record<string, unknown> {
  return { topic: 't', ...position, payload: { body } };
}
