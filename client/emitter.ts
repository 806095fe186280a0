type Listener<Event> = (event: Event) => unknown;

/** Listeners by event. A listener that throws disturbs nobody: its error goes to `onFailure`. */
export class Emitter<Events extends object> {
  private readonly listeners: { [Name in keyof Events]?: Set<Listener<never>> } = {};

  constructor(private readonly onFailure: (error: unknown, name: keyof Events) => void) {}

  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    (this.listeners[name] ??= new Set()).add(listener as Listener<never>);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.listeners[name]?.delete(listener as Listener<never>);
  }

  hears(name: keyof Events): boolean {
    return !!this.listeners[name]?.size;
  }

  /**
   * Calls the listeners. Returns a promise if one of them did, which never rejects.
   *
   * @param isStale whether the event is true no more: after a listener has changed that, the others are not called
   */
  fire<Name extends keyof Events>(
    name: Name,
    event: Events[Name],
    isStale?: () => boolean,
  ): Promise<unknown> | undefined {
    const pending: Promise<unknown>[] = [];
    const failed = (error: unknown) => this.onFailure(error, name);
    for (const listener of [...(this.listeners[name] ?? [])] as Listener<Events[Name]>[])
      try {
        if (isStale?.()) break;
        const result = listener(event);
        // Not only promises of this page's own: those of a frame, or of a library, are waited for too.
        if ((result as Partial<PromiseLike<unknown>> | undefined)?.then)
          pending.push(Promise.resolve(result).catch(failed));
      } catch (error) {
        failed(error);
      }
    return pending[0] && Promise.all(pending);
  }
}
