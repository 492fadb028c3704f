import { existsSync } from 'node:fs';
import { join, sep } from 'node:path';
import { realPath } from '../../base/files.ts';
import { UserError } from '../../base/user-error.ts';
import { isCopy } from '../../data/cache.ts';
import { areInData, type Labels, labelsFile } from '../../data/label-spec.ts';
import { asLogFlag, loggedColumns, withLogarithms } from '../../data/logarithm.ts';
import type { ImageOptions } from '../../data/open-options.ts';
import { isRemote } from '../../data/remote/address.ts';
import type { Source } from '../../data/source.ts';
import { withTexts } from '../../data/texts/with-texts.ts';
import { type BaseRun, readBase } from '../../run/base-run.ts';
import type { SavedCheckpoint } from '../../run/checkpoints.ts';
import { type RunConfig, tableOptions } from '../../run/config.ts';
import { flagName } from '../../run/option.ts';
import type { RunDirectory } from '../../run/run-directory.ts';
import type { RunFile } from '../../run/run-file.ts';

/** How far a run continues: to its end, beyond it where its user ended it, or not at all: it gets its results. */
export type Continuation = 'to-end' | 'beyond' | 'finish';

/** A run to be resumed. */
export interface ResumedRun {
  /** Its directory. */
  path: string;
  run: RunFile;
  /** A checkpoint file; by default the newest that can be read. */
  from?: string;
  how: Continuation;
}

/** Where a run is written, and which run it resumes, if any. */
export interface RunLocation {
  /** The run directory; by default one in `runs` named for the data, or the directory of the resumed run. */
  out?: string;
  /** By default the folder `runs` in the working directory. Like all paths absolute, if that may change during the run. */
  runs?: string;
  force: boolean;
  resume?: ResumedRun;
  /** The run that it updates. */
  update?: { run: string };
}

/** Opens the run directory and locks it for this process. UserError if that is not possible. */
export async function openDirectory(
  config: RunConfig,
  { out, runs, force, resume, update }: RunLocation,
  warn: (message: string) => void,
): Promise<RunDirectory> {
  const { openDefaultRunDirectory, openRunDirectory, reopenRunDirectory } = await import(
    '../../run/run-directory.ts'
  );
  const { eventsIn } = await import('../../run/run-path.ts');
  if (resume && out === undefined) return reopenRunDirectory(resume.path, { warn });
  const history = resume ? eventsIn(resume.path) : null;
  const inputs = {
    '--data': config.data,
    '--labels': config.labels && labelsFile(config.labels),
    '--texts': config.texts,
    '--from': resume?.from,
    resume: resume && join(resume.path, 'run.json'),
    update: update?.run,
  };
  if (out === undefined) return openDefaultRunDirectory(config.data, { runs, warn, history });
  return openRunDirectory(out, { force, inputs, warn, history });
}

/** UserError if a run, with its pictures, would be written among the images that it reads. */
export function assertNotAmong({ images }: Source, data: string, out: string): void {
  if (images && `${realPath(out)}${sep}`.startsWith(`${realPath(data)}${sep}`))
    throw new UserError(
      `--out ${out} lies in the folder of images ${data}, of which the pictures of the run would become a part; choose another`,
    );
}

/**
 * The checkpoint to resume from; null if there is none. UserError if `from` names one that cannot be used, or if there is one
 * of another run: a run that continues removes old checkpoints in its directory. `inPlace`: it continues in that of the run.
 */
export async function openCheckpoint(
  config: RunConfig,
  { path, run, from }: ResumedRun,
  inPlace: boolean,
  warn: (message: string) => void,
): Promise<SavedCheckpoint | null> {
  const { mismatchWith, newestCheckpoint, readCheckpoint } = await import('../../run/checkpoints.ts');
  const mismatch = mismatchWith(run, config);
  if (from === undefined) return newestCheckpoint(path, mismatch, warn, { id: run.id });
  if (inPlace) newestCheckpoint(path, mismatch, () => {});
  const unusable = (problem: string) => new UserError(`--from ${from} cannot be used: ${problem}`);
  const result = readCheckpoint(from);
  if ('problem' in result) throw unusable(result.problem);
  const difference = mismatch(result.checkpoint);
  if (difference) throw unusable(difference);
  return result;
}

type ReadingHooks = Required<Pick<ImageOptions, 'warn' | 'log' | 'signal'>> & Pick<ImageOptions, 'status'>;

/** Opens the rows to cluster. `leftOut`: the column of a table that holds the labels and is not clustered. */
export async function openRows(
  config: RunConfig,
  resume: ResumedRun | undefined,
  { warn, log, status, signal }: ReadingHooks,
): Promise<{ source: Source; leftOut: string | null }> {
  const { data, labels, imageSize, skipBad } = config;
  if (resume) assertStillThere('--data', data);
  const { isImageFolder, openSource } = await import('../../data/open.ts');
  const leftOut = resume
    ? (resume.run.data.leftOut ?? null)
    : labels === null
      ? null
      : await (await import('../../run/labels.ts')).labelColumnIn(labels, data, {
          log,
          signal,
          dialect: config,
        });
  if ((imageSize !== null || skipBad) && !isImageFolder(data))
    throw new UserError(
      `${data} is no folder of images, which ${skipBad ? '--skip-bad' : '--image-size'} is for: leave it out`,
    );
  const images = { size: imageSize, skipBad, warn, log, status, signal };
  const source = await openSource(data, { table: tableOptions(config, leftOut), images, log, status });
  try {
    if (!source.table) assertNoTableFlags(config);
    if (source.table?.note) warn(source.table.note);
    if (source.table?.filled) log(source.table.filled);
    if (!resume) warnOfSameNames(source, data, warn);
    await assertKept(source, config);
    const logged = await loggedIn(source, config, resume, log);
    return { source: await withTexts(withLogarithms(source, logged, data), config), leftOut };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Says so where columns that are clustered have the same name. */
function warnOfSameNames({ names }: Source, data: string, warn: (message: string) => void): void {
  const counts = new Map<string, number>();
  for (const name of names ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
  const same = [...counts].filter(([, count]) => count > 1);
  if (!same.length) return;
  const called = same
    .slice(0, MOST_SAME)
    .map(([name, count]) => `${count} columns are called ${JSON.stringify(name)}`);
  const more = same.length > MOST_SAME ? `, and ${same.length - MOST_SAME} more names are repeated` : '';
  warn(
    `${data}: ${called.join(', ')}${more}: each of them is clustered, and what is said of clusters does not tell them apart; rename them, or leave out what is there twice`,
  );
}

/** Names that are said one by one. */
const MOST_SAME = 5;

/** Opens rows that are to have the columns of the run that they update. */
export async function openNewRows(
  config: RunConfig,
  base: BaseRun,
  hooks: ReadingHooks,
): Promise<{ source: Source; leftOut: string | null }> {
  const { openForModel } = await import('../../run/rows-for-model.ts');
  const { readTrainedModel } = await import('../../run/trained-model.ts');
  const { data, skipBad } = config;
  const trained = readBase(base, (at) => readTrainedModel(at));
  const source = await openForModel(trained, base.run, data, { ...hooks, skipBad });
  // Later ones have to have these names, too.
  const named = { ...source, names: source.names ?? trained.names };
  try {
    await assertKept(source, config);
    return { source: await withTexts(named, config), leftOut: trained.leftOut };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Columns that are said one by one. */
const MOST_NAMED = 64;

/** The columns, from 0, to cluster by their logarithms; those of a resumed run are known. */
async function loggedIn(
  source: Source,
  { data, logarithm }: RunConfig,
  resume: ResumedRun | undefined,
  log: (line: string) => void,
): Promise<readonly number[]> {
  if (resume || logarithm === null) return resume?.run.data.logged ?? [];
  const columns = await loggedColumns(source, logarithm, data);
  const which = columns.length ? asLogFlag(columns, source.names ?? null, MOST_NAMED) : 'no column';
  log(`clustered by logarithms: ${which}`);
  return columns;
}

/** UserError where a flag is for tables, and the data are none. */
function assertNoTableFlags(config: RunConfig): void {
  for (const name of ['drop', 'id', 'text', 'impute', 'categorical', 'encoding', 'sep', 'decimal'] as const)
    if (config[name] !== null && !(name === 'text' && config.texts !== null))
      throw new UserError(
        `${flagName(name)}: ${config.data} is no table with columns to choose from: leave it out`,
      );
}

/** UserError unless the columns of names and texts can be read: they are needed at the end. */
async function assertKept({ texts }: Source, { id, text, texts: others }: RunConfig): Promise<void> {
  for (const column of [id, others === null ? text : null])
    if (column !== null) for await (const _ of texts?.(column) ?? []) break;
}

/** Throws a UserError if an input of a resumed run no longer exists. */
function assertStillThere(flag: string, path: string): void {
  if (isRemote(path) || existsSync(path)) return;
  if (isCopy(path))
    throw new UserError(
      `${path}, the copy of standard input that the run read, is gone: pass the same rows with ${flag} FILE`,
    );
  throw new UserError(
    `${path} cannot be read: no such file or folder; if it has moved, pass its path with ${flag}`,
  );
}

/** UserError if the data do not have the shape that they had when the run began. */
export function assertSameShape(path: string, { rows, dim }: Source, { run: { data } }: ResumedRun): void {
  if (rows !== data.rows || dim !== data.dim)
    throw new UserError(
      `${path} has ${rows} rows × ${dim} columns, but had ${data.rows} × ${data.dim} when the run began; restore the old file, or start a new run`,
    );
}

/** The true classes, for evaluation; null if none are given. UserError if there is not one for each row. */
export async function openLabels(
  config: RunConfig,
  { rows, images, table }: Pick<Source, 'rows' | 'images' | 'table'>,
  leftOut: string | null,
  resume: ResumedRun | undefined,
  { warn, log, signal }: ReadingHooks,
): Promise<Labels | null> {
  const { data, labels: spec } = config;
  if (spec === null) return null;
  const { readLabels } = await import('../../run/labels.ts');
  if (resume) assertStillThere('--labels', labelsFile(spec));
  const isSame = areInData(spec, data);
  const labelled = {
    images: isSame ? images : undefined,
    dropped: leftOut === null ? undefined : table?.dropped,
  };
  const labels = await readLabels(spec, labelled, { log, signal, ...(isSame && { dialect: config }) });
  if (labels.codes.length !== rows)
    throw new UserError(`--labels ${spec} has ${labels.codes.length} labels, but ${data} has ${rows} rows`);
  const { formatOf } = await import('../../data/open.ts');
  const { isContainer } = await import('../../data/arrays/formats.ts');
  // A container has them in an array of their own.
  if (leftOut === null && isSame && !images && !isRemote(data) && !isContainer(formatOf(data)))
    warn(
      `--labels ${spec} is in the file of --data, and these labels are clustered too; pass rows without them`,
    );
  return labels;
}
