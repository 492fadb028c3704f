import {
  options as modelOptions,
  type OptionName,
  type OptionValues,
  resolveConfig,
} from '../coordinator/config.ts';
import { withFiles } from './arrays.ts';
import { assertKnown, seedText } from './checks.ts';
import { RUN_OPTIONS, type TrainOptions } from './options.ts';
import { createRun, type Run } from './run.ts';
import { assertCompatible, runSession } from './session.ts';

const MODEL_OPTIONS = modelOptions.map(([name]) => name);

/**
 * Clusters rows. Answers at once; the work begins by itself. Starts worker processes and ends them; several runs may go on
 * in one process.
 *
 * @returns the run: iterate it for its events, await it for its result
 * @throws {UserError} (rejection) for what the caller can mend: an option, a file, a full disk; the message is one line
 * @throws {AbortError} (rejection) where `signal` stopped it
 */
export function train(options: TrainOptions): Run {
  return createRun(async (hooks) => {
    assertKnown('train', options, [...MODEL_OPTIONS, ...RUN_OPTIONS]);
    assertCompatible(options);
    await withFiles(options, async ({ withNames, ...inputs }) => {
      const config = await resolveConfig({ ...valuesOf(options), ...inputs });
      await runSession({ config, withNames }, options, hooks);
    });
  });
}

/** The model's options among `options`. */
function valuesOf({ seed, ...options }: TrainOptions): OptionValues {
  const values: OptionValues = { seed: seed === undefined ? undefined : seedText(seed) };
  for (const name of MODEL_OPTIONS.filter((name): name is Exclude<OptionName, 'seed'> => name !== 'seed'))
    values[name] = options[name] ?? undefined;
  return values;
}
