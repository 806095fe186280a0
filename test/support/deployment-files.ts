import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from './root.js';

/** An object of Kubernetes, as far as tests read it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Record<string, string> };
  readonly spec: Record<string, never>;
  readonly data?: Record<string, string>;
}

/** A service of the compose file, as far as tests read it. */
export interface ComposeService {
  readonly container_name?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly depends_on?: readonly string[] | Record<string, object>;
  readonly environment?: Record<string, string>;
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly read_only?: boolean;
  readonly user?: string;
  readonly cap_drop?: readonly string[];
  readonly stop_grace_period?: string;
}

const scripts = createRequire(join(root, 'package.json'))('./scripts/deployment-files.cjs') as {
  manifestCheck(): (object: object) => string[];
  objectsOf(text: string): Manifest[];
  valuesCheck(): (values: object) => string[];
};

/** The checks of `npm run lint`. */
export const checkManifest = scripts.manifestCheck();
export const checkValues = scripts.valuesCheck();

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8');
export const readYaml = <Content>(path: string): Content => parse(readText(path), { merge: true }) as Content;

const renderedFolder = 'docker/helm/rendered';

/** The rendered manifests, by file. */
export const rendered: ReadonlyMap<string, readonly Manifest[]> = new Map(
  readdirSync(join(root, renderedFolder))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => [name, scripts.objectsOf(readText(`${renderedFolder}/${name}`))]),
);

export const compose = readYaml<{
  readonly services: Record<string, ComposeService>;
  readonly volumes: Record<string, null>;
  readonly networks: Record<string, null>;
}>('docker/compose.yaml');
