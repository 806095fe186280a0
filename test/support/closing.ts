/** Resources opened by a test. All are closed, newest first, even if one fails to close. */
export class Closing {
  private readonly parts: (() => Promise<unknown>)[] = [];

  add(close: () => Promise<unknown>): void {
    this.parts.push(close);
  }

  /** Adds what is being started. */
  async started<Part extends { stop(): Promise<unknown> }>(starting: Promise<Part>): Promise<Part> {
    const part = await starting;
    this.add(() => part.stop());
    return part;
  }

  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const close of this.parts.splice(0).reverse())
      await close().catch((error: unknown) => errors.push(error));
    if (errors.length > 0) throw errors[0];
  }
}
