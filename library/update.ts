import { existsSync } from 'node:fs';
import { realPath } from '../base/files.ts';
import { withoutEnd } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { hasKeptTexts, identityOf } from '../run/base-run.ts';
import { type OptionValues, type RunConfig, resolveConfig } from '../run/config.ts';
import { kindsOf, settingsOf, storedOf } from '../run/option.ts';
import { UPDATE_OPTIONS } from '../run/options.ts';
import { readFinishedRun } from '../run/run-file.ts';
import { AbortError } from './abort-error.ts';
import { assertOptions, fixedPaths, type OptionKinds } from './arguments.ts';
import { NEW_ROWS } from './command-options.ts';
import type { RunOptions, UpdateOptions } from './options.ts';
import { createRun, type Run } from './run.ts';
import { type InputPaths, withFiles } from './temporary-files.ts';
import { assertCompatible, backendOf, RUN_OPTION_KINDS, runSession, withFixedPaths } from './train.ts';

const UPDATE_KINDS: OptionKinds<UpdateOptions> = {
  run: 'string',
  ...kindsOf(NEW_ROWS),
  ...kindsOf(UPDATE_OPTIONS),
  ...RUN_OPTION_KINDS,
};

/**
 * Takes new rows into a finished run: its clusters go on from where they are, trained on a sample of all rows so far, and keep their numbers; new ones
 * get new numbers. The new run, by default `<run>-2` (`-3` …), has the labels of the new rows.
 *
 * @returns the run: await it for its result, iterate over it for its events
 * @throws {UserError} (rejection) if there is no such run, it has kept no sample, or the rows do not fit it
 * @throws {AbortError} (rejection) if the run is stopped, by `signal` or over HTTP
 */
export function update(options: UpdateOptions): Run {
  return createRun(async (hooks) => {
    assertOptions('update', options, UPDATE_KINDS, ['run', 'data']);
    assertCompatible(options);
    const { run: path, data, labels = null } = options;
    const settings = settingsOf(UPDATE_OPTIONS, options);
    const { refitTransform, inPlace } = settings;
    if (inPlace && options.out !== undefined)
      throw new UserError(
        '--in-place and --out exclude each other: the one replaces the run, the other leaves it',
      );
    if (options.out !== undefined && realPath(options.out) === realPath(path))
      throw new UserError(
        `--out ${options.out} is the run that is updated, which would be removed before its update is there; --in-place replaces it once that is complete`,
      );
    const { replaceable } = await import('../run/in-place.ts');
    const { readStream, trainedEncoder } = await import('../run/stream-files.ts');
    const { run, state, hasTexts } = readFinishedRun(path, ({ at, about }) => {
      const { state, stream } = readStream(at);
      if (about.config.encoder !== 'none') trainedEncoder(at, stream!);
      return { run: about, state, hasTexts: hasKeptTexts(at) };
    });
    if (refitTransform && state.graph)
      throw new UserError(
        `--refit-transform: ${path} has the graph likelihood, whose clusters have to be found anew by all rows; train anew with dpmesh train`,
      );
    const paths = fixedPaths();
    const at = paths.fix(path);
    const place = inPlace ? await replaceable(at) : null;
    const out = place?.beside ?? options.out ?? nextPath(path);
    const own: RunOptions = withFixedPaths({ ...options, ...backendOf(run, options), out }, paths);
    const work = async ({ withNames, inMemory, ...inputs }: InputPaths) => {
      const { data } = inputs;
      const texts = textsFor(run.config, hasTexts, {
        ...options,
        ...{ run: path, data, texts: paths.fix(options.texts) },
      });
      const config = resolveConfig({ ...run.config, ...ofUpdate(run.config), ...inputs, ...texts });
      const request = {
        config,
        update: { run: at, base: identityOf(run), ...storedOf(UPDATE_OPTIONS, settings) },
        withNames,
        inMemory,
      };
      if (!place) return runSession(request, own, hooks);
      paths.call(place.beside, path);
      const placed = () => {
        place.replace();
        return at;
      };
      await runSession({ ...request, placed }, { ...own, force: true }, hooks);
    };
    try {
      await withFiles({ data, labels }, work, paths);
    } catch (error) {
      await place?.discard();
      throw place && error instanceof AbortError
        ? new AbortError(`stopped; ${path} is as it was`, { cause: error.cause })
        : error;
    } finally {
      place?.release();
    }
  });
}

/** What is different in the config of an update: rows of each have priorities of their own, there may be few, and an encoder stays as it is. */
export const ofUpdate = ({ seed }: RunConfig): OptionValues => ({
  seed: String(BigInt.asUintN(64, BigInt(seed) + 1n)),
  ...{ initK: 1, replicates: null, shards: 'auto', alternations: 0 },
});

/** Where the texts of the new rows are. UserError if the run `hasTexts` of its sample, and these are not known, or if it has none. */
function textsFor(
  { text: column, texts: file }: RunConfig,
  hasTexts: boolean,
  { run, data, text, texts }: Pick<UpdateOptions, 'run' | 'text' | 'texts'> & { data: string },
): OptionValues {
  if (texts === null) return { text: null, texts: null };
  const isColumn = column !== null && file === null;
  if (text === undefined && texts === undefined) {
    if (!isColumn && hasTexts)
      throw new UserError(`${run} has words of texts: pass those of the new rows with --texts FILE`);
    return { texts: null };
  }
  if (column === null && file === null && !hasTexts)
    throw new UserError(
      `${run} has no texts of its rows, and words are those of all: pass them first, with dpmesh name ${run} --texts FILE`,
    );
  // Tables of the run have no other column of texts.
  const isOwn = isColumn && (text ?? column) === column;
  return { text: text ?? column, texts: texts ?? (isOwn ? null : data) };
}

/** The first free one of `<run>-2`, `<run>-3` and so on. */
function nextPath(run: string): string {
  const stem = withoutEnd(run, /[\\/]/).replace(/-\d+$/, '');
  for (let i = 2; ; i++) if (!existsSync(`${stem}-${i}`)) return `${stem}-${i}`;
}
