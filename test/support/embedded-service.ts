import { loadSettings, Service } from '../../server/index.js';
import { secret } from './replica.js';
import { freePort } from './wait.js';

/** The service in the process of a test, as a program embeds it. */
export interface EmbeddedService {
  readonly service: Service;
  readonly url: string;
  readonly webSocketUrl: string;
}

export async function startEmbedded(environment: NodeJS.ProcessEnv = {}): Promise<EmbeddedService> {
  const port = await freePort();
  const service = new Service(
    loadSettings({
      JWT_SECRET: secret,
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'error',
      ...environment,
    }),
  );
  await service.start();
  return { service, url: `http://127.0.0.1:${port}`, webSocketUrl: `ws://127.0.0.1:${port}/ws` };
}
