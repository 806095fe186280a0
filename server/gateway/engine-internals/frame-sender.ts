import type { WebSocket } from 'ws';

/** The sender of a WebSocket: engine.io writes its ready-made frames through it too. */
interface FrameSender {
  /** A list of one buffer is written as it is; two are header and payload; of a longer list only the first is written. */
  sendFrame(frames: readonly Buffer[], callback: (error?: Error) => void): void;
}

/** Writes complete frames, which ws would otherwise make one by one. */
export function sendFrames(webSocket: WebSocket, frames: Buffer, callback: (error?: Error) => void): void {
  (webSocket as unknown as { readonly _sender: FrameSender })._sender.sendFrame([frames], callback);
}
