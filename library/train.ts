import {
  options as modelOptions,
  type OptionName,
  type OptionValues,
  resolveConfig,
} from '../coordinator/config.ts';
import { withFiles } from './arrays.ts';
import { assertOptions, type OptionKinds, seedText } from './checks.ts';
import { fixedPaths } from './fixed-paths.ts';
import { RUN_OPTION_KINDS, type TrainOptions } from './options.ts';
import { createRun, type Run } from './run.ts';
import { assertCompatible, runSession, withFixedPaths } from './session.ts';

const MODEL_OPTIONS = modelOptions.map(([name]) => name);
const KINDS = {
  // Their values are checked with the config.
  ...Object.fromEntries(MODEL_OPTIONS.map((name) => [name, 'any'])),
  ...RUN_OPTION_KINDS,
} as OptionKinds<TrainOptions>;

/**
 * Clusters rows. Returns at once, while the run continues in the background. The run starts its worker processes and stops
 * them at the end. Several runs may be in progress in one process.
 *
 * @returns the run: await it for its result, iterate over it for its events
 * @throws {UserError} (rejection) for problems that the caller can solve, such as an invalid option, a missing file or a
 *   full disk; the message is one line
 * @throws {AbortError} (rejection) if the run is stopped, by `signal` or over HTTP
 */
export function train(options: TrainOptions): Run {
  return createRun(async (hooks) => {
    assertOptions('train', options, KINDS, ['data']);
    assertCompatible(options);
    const paths = fixedPaths();
    const own = withFixedPaths(options, paths);
    const runs = options.out === undefined ? paths.fix('runs') : undefined;
    await withFiles(
      options,
      async ({ withNames, inMemory, ...inputs }) => {
        const config = await resolveConfig({ ...modelValues(options), ...inputs });
        await runSession({ config, runs, withNames, inMemory }, own, hooks);
      },
      paths,
    );
  });
}

/** Those of `options` that determine the result, except data and labels. */
function modelValues({ seed, ...options }: TrainOptions): OptionValues {
  const values: OptionValues = { seed: seed == null ? undefined : seedText(seed) };
  for (const name of MODEL_OPTIONS.filter((name): name is Exclude<OptionName, 'seed'> => name !== 'seed'))
    values[name] = options[name] ?? undefined;
  return values;
}
