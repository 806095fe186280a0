import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { root } from '../support/root.js';

const environment = process.env;
/** `SEED=n` repeats a run. */
export const seed = Number(environment['SEED'] ?? Date.now() % 1_000_000);
/** Set by `npm run fuzz`: as many inputs as this time allows. Otherwise the number of inputs is fixed. */
const secondsGiven = environment['FUZZ_SECONDS'];

/** The bounds of a fuzzer in `npm test`. */
interface Bounds {
  readonly inputs: number;
  /** The run ends after this time, also with fewer inputs: the machine may be slow. */
  readonly seconds: number;
}

const corpusDirectory = join(root, 'test', 'fuzz', 'corpus');

/** Inputs of a kind that have failed once, by file name. */
export function corpus<Input>(kind: string): readonly (readonly [name: string, input: Input])[] {
  const directory = join(corpusDirectory, kind);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => [
      file.replace('.json', '').replaceAll('-', ' '),
      JSON.parse(readFileSync(join(directory, file), 'utf8')) as Input,
    ]);
}

/** So many inputs before the first that failed are written down too. */
const keptInputs = 50;

/** An input that fails is made smaller for at most this long. */
const shrinkingMs = 60_000;

/** How long the tests of a fuzzer may take. */
export function timeLimitMs({ seconds }: Bounds): number {
  // Starting, shrinking an input that fails, and stopping take time too.
  return (Number(secondsGiven ?? seconds) * 3 + 120) * 1000;
}

/**
 * Runs a check with random inputs. Of an input that fails, the smallest form that still fails is reported, with the seed; it is also
 * written to `.tmp/fuzz/`, from where it can be moved to the corpus.
 */
export async function fuzz<Input>(
  kind: string,
  inputs: fc.Arbitrary<Input>,
  bounds: Bounds,
  check: (input: Input) => Promise<void>,
): Promise<void> {
  // The service keeps state: what failed may be the work of earlier inputs.
  const earlier: Input[] = [];
  let failure: { readonly input: Input; readonly error: unknown } | undefined;
  let underWay = Promise.resolve();
  const checkOnce = async (input: Input): Promise<void> => {
    try {
      await check(input);
      if (failure === undefined && earlier.push(input) > keptInputs) earlier.shift();
    } catch (error) {
      failure ??= { input, error };
      throw error;
    }
  };
  const property = fc.asyncProperty(inputs, (input) => (underWay = checkOnce(input)));
  const result = await fc.check(property, {
    seed,
    numRuns: secondsGiven === undefined ? bounds.inputs : 1_000_000_000,
    interruptAfterTimeLimit: Number(secondsGiven ?? bounds.seconds) * 1000,
    markInterruptAsFailure: false,
    endOnFailure: true,
  });
  // Its time may be over while an input waits for its answers.
  await underWay.catch(() => {});
  if (failure === undefined) {
    console.log(`      ${result.numRuns} inputs`);
    return;
  }
  const smaller =
    result.counterexamplePath === null
      ? undefined
      : await fc.check(property, {
          seed,
          path: result.counterexamplePath,
          interruptAfterTimeLimit: shrinkingMs,
          numRuns: result.numRuns + 1,
        });
  const input = smaller?.counterexample?.[0] ?? failure.input;
  const error = smaller?.errorInstance ?? failure.error;
  const directory = join(root, '.tmp', 'fuzz');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${kind}-${seed}.json`);
  writeFileSync(file, `${JSON.stringify(input, null, 2)}\n`);
  writeFileSync(file.replace('.json', '-earlier.json'), `${JSON.stringify(earlier, null, 2)}\n`);
  assert.fail(
    [
      `seed ${seed}, input ${result.numRuns}: ${error instanceof Error ? error.stack : String(error)}`,
      `the smallest input found (${file}; move it to test/fuzz/corpus/${kind}/ to keep it as a test; what was sent before is beside it):`,
      JSON.stringify(input).slice(0, 4000),
    ].join('\n'),
  );
}
