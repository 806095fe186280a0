/** A bare client of long-polling that sends bodies of any packets. */
export class PollingClient {
  private constructor(private readonly address: string) {}

  static async open(url: string): Promise<PollingClient> {
    const address = `${url}/socket.io/?EIO=4&transport=polling`;
    const opened = await (await fetch(address)).text();
    const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
    return new PollingClient(`${address}&sid=${sid}`);
  }

  /** Sends a body. Resolves to the status and the text of the response. */
  async post(...packets: string[]): Promise<{ status: number; text: string }> {
    const response = await fetch(this.address, { method: 'POST', body: packets.join('\x1e') });
    return { status: response.status, text: await response.text() };
  }

  /** Resolves to the packets of the next poll. */
  async poll(): Promise<string[]> {
    return (await (await fetch(this.address)).text()).split('\x1e');
  }

  /** Polls, and breaks that off after so many milliseconds. */
  async breakOff(afterMs: number): Promise<void> {
    await fetch(this.address, { signal: AbortSignal.timeout(afterMs) }).catch(() => {});
  }

  /** Polls until this is true of all packets received since the call. */
  async pollUntil(isEnough: (packets: readonly string[]) => boolean): Promise<string[]> {
    const packets: string[] = [];
    while (!isEnough(packets)) {
      for (const packet of await this.poll())
        if (packet === '2') await this.post('3');
        else packets.push(packet);
    }
    return packets;
  }
}
