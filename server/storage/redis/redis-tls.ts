import { readFileSync } from 'node:fs';
import { SettingsError } from '../../config/load.js';
import type { Settings } from '../../config/schema.js';

/** Options of Node for a TLS connection to Redis. */
export interface RedisTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
}

/**
 * Reads the files that the settings name.
 *
 * @throws SettingsError if one cannot be read
 */
export function readRedisTls(settings: Settings['redis']): RedisTls {
  const { tlsCaFile, tlsCertFile, tlsKeyFile, tlsServerName } = settings;
  return {
    ...(tlsCaFile !== undefined && { ca: read('tls_ca_file', tlsCaFile) }),
    ...(tlsCertFile !== undefined && { cert: read('tls_cert_file', tlsCertFile) }),
    ...(tlsKeyFile !== undefined && { key: read('tls_key_file', tlsKeyFile) }),
    ...(tlsServerName !== undefined && { servername: tlsServerName }),
  };
}

function read(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new SettingsError([`redis.${setting}: ${file} cannot be read: ${(error as Error).message}`]);
  }
}
