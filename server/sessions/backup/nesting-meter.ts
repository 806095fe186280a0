const quote = 0x22;
const backslash = 0x5c;
const opening: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closing: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** Measures how deeply a JSON text is nested, chunk by chunk and before it is parsed: a parser keeps every level that is open. */
export class NestingMeter {
  private depth = 0;
  private inString = false;
  private isEscaped = false;

  /** Takes the next chunk, in UTF-8. Where the text is nested deeper than `limit` in it: at which byte; else undefined. */
  placeBeyond(limit: number, chunk: Uint8Array): number | undefined {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.isEscaped) this.isEscaped = false;
      else if (byte === quote) this.inString = !this.inString;
      else if (this.inString) this.isEscaped = byte === backslash;
      else if (opening.has(byte)) {
        if (++this.depth > limit) return at;
      } else if (closing.has(byte)) this.depth--;
    }
    return undefined;
  }
}
