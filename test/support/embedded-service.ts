import { loadSettings, Service, type ServiceOptions } from '../../server/index.js';
import { secret } from './replica.js';
import { freePort } from './wait.js';

/** The service inside the process of a test, as a program embeds it: what it does to sockets can be seen and done there. */
export interface EmbeddedService {
  readonly service: Service;
  readonly url: string;
  readonly webSocketUrl: string;
}

/** @param prepare called before the service starts, as a program adds its routes and namespaces */
export async function startEmbedded(
  environment: NodeJS.ProcessEnv = {},
  options: ServiceOptions = {},
  prepare: (service: Service) => void = () => {},
): Promise<EmbeddedService> {
  const port = await freePort();
  const settings = loadSettings({
    JWT_SECRET: secret,
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_LEVEL: 'error',
    ...environment,
  });
  const service = new Service(settings, options);
  prepare(service);
  await service.start();
  return { service, url: `http://127.0.0.1:${port}`, webSocketUrl: `ws://127.0.0.1:${port}/ws` };
}
