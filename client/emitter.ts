type Listener<Event> = (event: Event) => unknown;

/** Listeners by event. A listener that throws disturbs nobody: its error goes to `onFailure`. */
export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<Listener<never>>>();

  constructor(private readonly onFailure: (error: unknown) => void) {}

  /** Adds a listener. Returns a function that removes it. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    let set = this.listeners.get(name);
    if (set === undefined) this.listeners.set(name, (set = new Set()));
    set.add(listener as Listener<never>);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.listeners.get(name)?.delete(listener as Listener<never>);
  }

  has(name: keyof Events): boolean {
    return (this.listeners.get(name)?.size ?? 0) > 0;
  }

  /** Calls the listeners. Returns a promise if one of them did, which never rejects. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): Promise<unknown> | undefined {
    let pending: Promise<unknown>[] | undefined;
    for (const listener of [...(this.listeners.get(name) ?? [])] as Listener<Events[Name]>[]) {
      try {
        const result = listener(event);
        if (result instanceof Promise) (pending ??= []).push(result.catch(this.onFailure));
      } catch (error) {
        this.onFailure(error);
      }
    }
    return pending && Promise.all(pending);
  }
}
