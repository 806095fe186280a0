import type { Channel, Locks, TabsBrowser } from '../../client/tabs/browser.js';

interface LockRequest {
  readonly page: FakePage;
  readonly name: string;
  readonly isShared: boolean;
  readonly run: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The Web Locks of an origin, as the specification has them, for what the library uses. */
class FakeLocks {
  private held: LockRequest[] = [];
  private queue: LockRequest[] = [];

  of(page: FakePage): Locks {
    return {
      request: (name, { signal, steal = false, mode = 'exclusive' }, run) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) return reject(new Error('AbortError'));
          const request = { page, name, isShared: mode === 'shared', run, resolve, reject };
          signal?.addEventListener('abort', () => {
            if (!this.queue.includes(request)) return;
            this.queue = this.queue.filter((one) => one !== request);
            reject(new Error('AbortError'));
          });
          if (!steal) this.queue.push(request);
          else {
            for (const one of this.held.filter((lock) => lock.name === name)) this.take(one);
            this.grant(request);
          }
          this.serve();
        }),
    };
  }

  /** A page has ended: its locks are free. */
  free(page: FakePage): void {
    this.queue = this.queue.filter((one) => one.page !== page);
    this.held = this.held.filter((one) => one.page !== page);
    this.serve();
  }

  private take(lock: LockRequest): void {
    this.held = this.held.filter((one) => one !== lock);
    lock.reject(new Error('AbortError'));
  }

  private serve(): void {
    for (const request of [...this.queue]) {
      const before = this.queue.slice(0, this.queue.indexOf(request));
      const isTaken = [...this.held, ...before].some(
        (one) => one.name === request.name && !(one.isShared && request.isShared),
      );
      if (isTaken) continue;
      this.queue = this.queue.filter((one) => one !== request);
      this.grant(request);
    }
  }

  private grant(request: LockRequest): void {
    this.held.push(request);
    void Promise.resolve()
      .then(request.run)
      .then(() => {
        this.held = this.held.filter((one) => one !== request);
        request.resolve();
        this.serve();
      });
  }
}

/** A page of a browser, as far as tabs see each other. */
export class FakePage implements TabsBrowser {
  readonly locks: Locks;
  private readonly channels = new Set<InstanceType<typeof BroadcastChannel>>();
  private isFrozen = false;
  private waiting: (() => void)[] = [];

  constructor(private readonly origin: FakeOrigin) {
    this.locks = origin.locks.of(this);
  }

  readonly openChannel = (name: string): Channel => {
    const channel = new BroadcastChannel(this.origin.name + name);
    channel.unref();
    this.channels.add(channel);
    const page: Channel = {
      onmessage: null,
      postMessage: (message) => this.run(() => this.channels.has(channel) && channel.postMessage(message)),
      close: () => {
        this.channels.delete(channel);
        channel.close();
      },
    };
    channel.onmessage = (event) =>
      this.run(
        () => this.channels.has(channel) && page.onmessage?.({ data: (event as { data: unknown }).data }),
      );
    return page;
  };

  /** The browser stops the page: it hears nothing, says nothing, and keeps its locks. */
  freeze(): void {
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    for (const run of this.waiting.splice(0)) run();
  }

  /** The page is gone, without a word. */
  crash(): void {
    for (const channel of this.channels) channel.close();
    this.channels.clear();
    this.origin.locks.free(this);
  }

  private run(what: () => unknown): void {
    if (this.isFrozen) this.waiting.push(what);
    else what();
  }
}

let origins = 0;

/** Pages of one site in one browser. */
export class FakeOrigin {
  readonly name = `origin ${++origins}: `;
  readonly locks = new FakeLocks();

  page(): FakePage {
    return new FakePage(this);
  }
}
