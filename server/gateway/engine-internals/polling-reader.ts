import type { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { PacketAdmission, PacketReader } from './packet-reader.js';

/** A long-polling transport of engine.io. */
interface PollingTransport extends EventEmitter {
  readonly name: string;
  readonly readyState: string;
  /** Decodes a body and emits its packets. */
  onData(body: string): void;
  /** The response to the request whose body is being decoded. */
  readonly dataRes?: ServerResponse | null;
  maxHttpBufferSize: number;
  onError(message: string): void;
}

/** Stands between the packets of a body. */
const separator = '\x1e';

/**
 * Decodes the bodies of a long-polling transport packet by packet. engine.io decodes a body at once, and emits all
 * its packets in one turn. The response to a body waits for its last packet, so that a client sends the next body
 * only when it can be read.
 */
export class PollingReader implements PacketReader {
  /** What is left of the body. */
  private body: string | undefined;
  private at = 0;
  private isStopped = false;
  private releaseResponse: (() => void) | undefined;
  private readonly decode: (body: string) => void;

  constructor(
    private readonly transport: PollingTransport,
    private readonly admission: () => PacketAdmission,
  ) {
    this.decode = transport.onData.bind(transport);
    // Not in one: V8 would make it in the old generation, with all that it refers to.
    const take = (body: string) => this.take(body);
    transport.onData = take;
    transport.once('close', () => this.drop());
  }

  stop(): void {
    this.isStopped = true;
  }

  start(): void {
    this.isStopped = false;
    this.proceed();
  }

  limitFrames(bytes: number): void {
    this.transport.maxHttpBufferSize = bytes;
  }

  private take(body: string): void {
    const { transport } = this;
    if (this.body !== undefined) {
      // As engine.io treats a request that comes before the end of the previous one.
      transport.onError('data request overlap from client');
      return;
    }
    this.body = body;
    this.at = 0;
    this.proceed();
    const { dataRes: response } = transport;
    if (this.body !== undefined && response) this.releaseResponse = holdEnd(response);
  }

  private proceed(): void {
    const { transport } = this;
    while (!this.isStopped && this.body !== undefined) {
      const end = this.body.indexOf(separator, this.at);
      const packet = end < 0 ? this.body.slice(this.at) : this.body.slice(this.at, end);
      const admission = this.admission();
      if (!admission.mayDecode(packet.length)) return;
      this.at = end + 1;
      if (end < 0) this.drop();
      if (admission.admitPacket(packet)) this.decode(packet);
      if (transport.readyState !== 'open') this.drop();
    }
  }

  /** The body is decoded, or what is left of it has no use. */
  private drop(): void {
    this.body = undefined;
    this.releaseResponse?.();
    this.releaseResponse = undefined;
  }
}

/** Delays the end of a response until the returned function is called. */
function holdEnd(response: ServerResponse): () => void {
  let late: unknown[] | undefined;
  const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
  Object.assign(response, {
    end: (...args: unknown[]) => {
      late = args;
      return response;
    },
  });
  return () => {
    Object.assign(response, { end });
    if (late !== undefined) end(...late);
  };
}
