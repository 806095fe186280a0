import assert from 'node:assert/strict';
import { tokenOf, type TestReplica } from './replica.js';

/** An answer to one request of long-polling. */
export interface PollAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | null;
}

/** A bare client of long-polling that sends each of its requests to the replica that the test names. */
export class StrayPoller {
  private constructor(readonly sid: string) {}

  /** @param mark of the handshake; stock clients write one in all requests, each time another */
  static async open(replica: TestReplica, mark?: string): Promise<StrayPoller> {
    const more = mark === undefined ? '' : `&t=${mark}`;
    const text = await (await fetch(`${replica.url}/socket.io/?EIO=4&transport=polling${more}`)).text();
    return new StrayPoller((JSON.parse(text.slice(1)) as { sid: string }).sid);
  }

  /** Opens a transport on one replica and joins by way of another. */
  static async join(
    owner: TestReplica,
    edge: TestReplica,
    userId: string,
    mark?: (n: number) => string,
  ): Promise<StrayPoller> {
    const poller = await StrayPoller.open(owner, mark?.(0));
    const joined = await poller.post(edge, `40${JSON.stringify({ token: tokenOf(userId) })}`);
    assert.equal(joined.status, 200, joined.text);
    for (let n = 1; ; n++) {
      const { status, text } = await poller.poll(edge, mark === undefined ? {} : { mark: mark(n) });
      assert.equal(status, 200, text);
      if (text.includes('"status"')) return poller;
    }
  }

  /** @param options.mark tells this poll from others, as stock clients do it */
  poll(
    replica: TestReplica,
    { signal, mark }: { readonly signal?: AbortSignal; readonly mark?: string } = {},
  ): Promise<PollAnswer> {
    return this.send(replica, { ...(signal && { signal }) }, mark === undefined ? '' : `&t=${mark}`);
  }

  post(replica: TestReplica, body: string): Promise<PollAnswer> {
    return this.send(replica, { method: 'POST', body });
  }

  /** The address of its requests at a replica. */
  addressAt(replica: TestReplica): string {
    return `${replica.url}/socket.io/?EIO=4&transport=polling&sid=${this.sid}`;
  }

  private async send(replica: TestReplica, init: RequestInit, more = ''): Promise<PollAnswer> {
    const response = await fetch(this.addressAt(replica) + more, init);
    const text = await response.text();
    return { status: response.status, text, retryAfter: response.headers.get('retry-after') };
  }
}
