const quote = 0x22;
const backslash = 0x5c;
const opening: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closing: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/**
 * Measures the nesting of a JSON text, chunk by chunk, before it is parsed: a parser keeps every open level
 * in memory.
 */
export class NestingMeter {
  private depth = 0;
  private inString = false;
  private isEscaped = false;

  /**
   * Reads the next chunk, in UTF-8. Returns the byte at which the nesting exceeds `limit`; undefined if it
   * does not.
   */
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
