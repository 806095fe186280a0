import { pathToFileURL } from 'node:url';
import { RefusalError } from '../../../shared/errors.js';
import { didYouMean } from '../../primitives/did-you-mean.js';
import type { HookName, Hooks } from '../hooks.js';
import { hookNames } from './hook-call.js';

/** What a module that exports a function gets: it need not find the package of the service. */
interface HookTools {
  readonly RefusalError: typeof RefusalError;
}

type HooksMaker = (tools: HookTools) => unknown;

/**
 * Loads the hooks of a module: CommonJS or ESM (TypeScript where Node loads it). It exports the hooks, or a function that returns them and
 * is called once for each worker.
 *
 * @throws Error what the module throws, or what is wrong with its hooks
 */
export async function loadHookModule(path: string): Promise<Hooks> {
  const exported = defaultOf((await import(pathToFileURL(path).href)) as Record<string, unknown>);
  const hooks = typeof exported === 'function' ? await (exported as HooksMaker)({ RefusalError }) : exported;
  check(hooks);
  return hooks;
}

/** The hooks that are there. */
export const namesOf = (hooks: Hooks): HookName[] => hookNames.filter((name) => hooks[name] !== undefined);

/** CommonJS arrives as `default`; a compiler may have made it from `export default`. */
function defaultOf(module: Record<string, unknown>): unknown {
  const { default: exported } = module;
  if (exported === undefined) return module;
  const isCompiled = typeof exported === 'object' && exported !== null && '__esModule' in exported;
  return isCompiled && 'default' in exported ? exported.default : exported;
}

function check(hooks: unknown): asserts hooks is Hooks {
  const known = hookNames.join(', ');
  if (typeof hooks !== 'object' || hooks === null)
    throw new Error(`it has to export hooks (${known}), or a function that returns them`);
  for (const name of hookNames) {
    const hook = (hooks as Record<string, unknown>)[name];
    if (hook !== undefined && typeof hook !== 'function') throw new Error(`${name} is not a function`);
  }
  const isKnown = (name: string) => (hookNames as readonly string[]).includes(name);
  // A misspelt check of messages would never run.
  const unknown = Object.keys(hooks).find((name) => looksLikeHook(name) && !isKnown(name));
  if (unknown !== undefined)
    throw new Error(
      `there is no hook ${unknown}${didYouMean(unknown, hookNames, 3) || `: the hooks are ${known}`}`,
    );
  if (namesOf(hooks).length === 0) throw new Error(`it has none of the hooks ${known}`);
}

/** `onpublish` too. */
const looksLikeHook = (name: string) =>
  /^on[A-Z]/.test(name) || hookNames.some((known) => known.toLowerCase() === name.toLowerCase());
