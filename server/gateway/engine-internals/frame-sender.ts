import type { WebSocket } from 'ws';

/** The sender of a WebSocket. engine.io also writes its pre-encoded frames through it. */
interface FrameSender {
  /**
   * Writes a list of one buffer unchanged, and a list of two as header and payload. Of a longer list only the
   * first is written.
   */
  sendFrame(frames: readonly Buffer[], callback: (error?: Error) => void): void;
}

/** Writes complete frames in one call, instead of one call of ws for each. */
export function sendFrames(webSocket: WebSocket, frames: Buffer, callback: (error?: Error) => void): void {
  (webSocket as unknown as { readonly _sender: FrameSender })._sender.sendFrame([frames], callback);
}
