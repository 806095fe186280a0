import { loadSettings, Service, type ServiceOptions } from '../../server/index.js';
import { secret } from './replica.js';
import { freePort } from './wait.js';

/** A service in the process of the test, as a program embeds it, so that the test can access its sockets. */
export async function startService(
  environment: NodeJS.ProcessEnv = {},
  options: ServiceOptions = {},
): Promise<{ service: Service; url: string; webSocketUrl: string }> {
  const port = await freePort();
  const settings = loadSettings({
    JWT_SECRET: secret,
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_LEVEL: 'error',
    ...environment,
  });
  const service = new Service(settings, options);
  await service.start();
  return { service, url: `http://127.0.0.1:${port}`, webSocketUrl: `ws://127.0.0.1:${port}/ws` };
}
