import { RefusalError, toWireError, type WireError } from '../../shared/errors.js';
import type { Bus } from './bus.js';
import { replicaName } from './replica-identity.js';
import { withTimeout } from '../primitives/with-timeout.js';

/** Runs a call on this replica; the result must be representable in JSON. */
type CallHandler = (data: unknown) => unknown;

/** The result of one replica; `error` if it failed, or did not answer in time. */
export interface ReplicaAnswer<Result> {
  readonly replica: string;
  readonly result?: Result;
  readonly error?: WireError;
}

interface Request {
  readonly id: number;
  readonly name: string;
  readonly data: unknown;
}

interface Response {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

/** Calls from one replica to others. Operators talk to one replica, which calls all of them. */
export class ReplicaCalls {
  private readonly handlers = new Map<string, CallHandler>();
  private readonly waiting = new Map<number, (response: Response) => void>();
  private nextId = 1;

  constructor(
    private readonly bus: Bus,
    private readonly settings: { readonly timeoutMs: number },
  ) {
    bus.on('call', (data, from) => void this.serve(data as Request, from));
    bus.on('answer', (data) => {
      const response = data as Response;
      this.waiting.get(response.id)?.(response);
    });
  }

  /** Sets the handler of a name. */
  handle(name: string, handler: CallHandler): void {
    this.handlers.set(name, handler);
  }

  /** Calls every live replica, this one included, and returns all results. Never rejects. */
  async askAll<Result>(name: string, data: unknown = null): Promise<ReplicaAnswer<Result>[]> {
    return this.askSome(() => true, name, data);
  }

  /** Calls some of the live replicas. Never rejects. */
  async askSome<Result>(
    isAsked: (replica: string) => boolean,
    name: string,
    data: unknown = null,
  ): Promise<ReplicaAnswer<Result>[]> {
    const replicas = (await this.bus.replicas()).filter(isAsked);
    return Promise.all(replicas.map((replica) => this.ask<Result>(replica, name, data)));
  }

  /** Calls one replica. Never rejects. */
  async ask<Result>(replica: string, name: string, data: unknown = null): Promise<ReplicaAnswer<Result>> {
    const { result, error } = await this.send(replica, { id: this.nextId++, name, data });
    return error !== undefined ? { replica, error } : { replica, result: result as Result };
  }

  private async send(replica: string, request: Request): Promise<Response> {
    if (replica === this.bus.replicaId) return this.run(request);
    const { id } = request;
    const response = new Promise<Response>((resolve) => this.waiting.set(id, resolve));
    this.bus.send(replica, 'call', request);
    try {
      return await withTimeout(response, this.settings.timeoutMs);
    } catch {
      return {
        id,
        error: new RefusalError('timeout', `replica ${replicaName(replica)} did not answer in time`).toWire(),
      };
    } finally {
      this.waiting.delete(id);
    }
  }

  private async serve(request: Request, from: string): Promise<void> {
    this.bus.send(from, 'answer', await this.run(request));
  }

  private async run({ id, name, data }: Request): Promise<Response> {
    try {
      const handler = this.handlers.get(name);
      if (handler === undefined)
        throw new RefusalError('not_found', `this replica does not know the call ${name}`);
      return { id, result: await handler(data) };
    } catch (error) {
      return { id, error: toWireError(error) };
    }
  }
}
