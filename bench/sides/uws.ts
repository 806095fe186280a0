/**
 * The publish/subscribe of uWebSockets.js, in one process. UWS is the directory of the package, which is
 * installed only for the comparison.
 */
interface UwsSocket {
  subscribe(topic: string): void;
  send(text: string): void;
}

interface UwsApp {
  ws(path: string, behaviour: object): UwsApp;
  publish(topic: string, text: string): void;
  listen(host: string, port: number, listening: (token: unknown) => void): void;
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- its directory is known only at run time
const { App } = require(process.env['UWS']!) as { App: () => UwsApp };

const app = App();
app
  .ws('/*', {
    maxBackpressure: 64 * 1024 * 1024,
    message: (socket: UwsSocket, data: ArrayBuffer) => {
      const request = JSON.parse(Buffer.from(data).toString()) as {
        subscribe?: string[];
        topic: string;
        payload: unknown;
      };
      if (request.subscribe !== undefined) for (const topic of request.subscribe) socket.subscribe(topic);
      else
        app.publish(
          request.topic,
          JSON.stringify({
            type: 'Broadcast',
            data: { topic: request.topic, timestamp: Date.now(), payload: request.payload },
          }),
        );
      socket.send('{"a":1}');
    },
  })
  .listen('127.0.0.1', Number(process.env['PORT']), () => process.send?.('ready'));
export {};
