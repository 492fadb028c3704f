import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { realPath } from '../base/same-file.ts';
import { UserError } from '../base/user-error.ts';
import type { Labels } from '../data/labels.ts';
import type { Source } from '../data/source.ts';
import type { RunConfig } from './config.ts';
import type { SavedCheckpoint } from './storage/checkpoints.ts';
import type { RunDirectory } from './storage/run-directory.ts';
import type { RunFile } from './storage/run-file.ts';

/** The run to go on with: in its own directory, unless there is an `out`. */
export interface Resumed {
  path: string;
  run: RunFile;
  /** A checkpoint to go on from; by default the newest that can be read. */
  from?: string;
}

export interface Place {
  /** The run directory; by default `runs/<data>`, or the run's own where one is resumed. */
  out?: string;
  force: boolean;
  resume?: Resumed;
}

/** The run directory, held for this process. UserError where it cannot be had. */
export async function openDirectory(
  config: RunConfig,
  { out, force, resume }: Place,
  warn: (message: string) => void,
): Promise<RunDirectory> {
  const { openDefaultRunDirectory, openRunDirectory, reopenRunDirectory } = await import(
    './storage/run-directory.ts'
  );
  const { eventsIn } = await import('./storage/event-log.ts');
  const { labelsFile } = await import('../data/labels.ts');
  if (resume && out === undefined) return reopenRunDirectory(resume.path, { warn });
  const history = resume ? eventsIn(resume.path) : null;
  const inputs = {
    '--data': config.data,
    '--labels': config.labels && labelsFile(config.labels),
    '--from': resume?.from,
    resume: resume && join(resume.path, 'run.json'),
  };
  if (out === undefined) return openDefaultRunDirectory(config.data, { warn, history });
  return openRunDirectory(out, { force, inputs, warn, history });
}

/** The checkpoint to go on from: the newest that can be read, or the one that was named. UserError if that cannot be. */
export async function openCheckpoint(
  { path, run, from }: Resumed,
  warn: (message: string) => void,
): Promise<SavedCheckpoint | null> {
  const { newestCheckpoint, readCheckpoint } = await import('./storage/checkpoints.ts');
  const { foreignTo } = await import('./storage/run-file.ts');
  if (from === undefined) return newestCheckpoint(path, foreignTo(run), warn);
  const found = readCheckpoint(from, foreignTo(run));
  if ('problem' in found) throw new UserError(`--from ${from} cannot be used: ${found.problem}`);
  return found;
}

/** The rows to cluster. `leftOut`: a column of a CSV that is none of them, as `labels` names it. */
export async function openRows(
  { data, labels }: RunConfig,
  resume: Resumed | undefined,
  warn: (message: string) => void,
): Promise<{ source: Source; leftOut: string | null }> {
  if (resume) assertStillThere('--data', data);
  const { formatOf, openSource } = await import('../data/open.ts');
  const leftOut = resume
    ? (resume.run.data.leftOut ?? null)
    : labels === null
      ? null
      : await (await import('../data/labels.ts')).labelColumnIn(labels, data);
  const source = await openSource(data, { without: leftOut });
  if (formatOf(data) === 'csv') {
    const note = await (await import('../data/columns.ts')).noteOnHeader(data, leftOut ?? undefined);
    if (note) warn(note);
  }
  return { source, leftOut };
}

/** UserError where an input of a run that goes on is no longer where it was. */
function assertStillThere(flag: string, path: string): void {
  if (!existsSync(path))
    throw new UserError(
      `${path} cannot be read: no such file or folder; if it has moved, say where it is with ${flag}`,
    );
}

/** UserError where the data are not as large as they were when the run began. */
export function assertSameShape(path: string, { rows, dim }: Source, { run: { data } }: Resumed): void {
  if (rows !== data.rows || dim !== data.dim)
    throw new UserError(
      `${path} has ${rows} rows × ${dim}, and had ${data.rows} × ${data.dim} when the run began; put the old file back, or start a new run`,
    );
}

/** True classes, for evaluation; null where none are named. UserError where they are not of these rows. */
export async function openLabels(
  { data, labels: spec }: RunConfig,
  rows: number,
  leftOut: string | null,
  resume: Resumed | undefined,
  warn: (message: string) => void,
): Promise<Labels | null> {
  if (spec === null) return null;
  const { labelsFile, readLabels } = await import('../data/labels.ts');
  if (resume) assertStillThere('--labels', labelsFile(spec));
  const labels = await readLabels(spec);
  if (labels.codes.length !== rows)
    throw new UserError(`--labels ${spec} has ${labels.codes.length} labels, ${data} has ${rows} rows`);
  if (leftOut === null && realPath(labelsFile(spec)) === realPath(data))
    warn(`--labels ${spec} is the data too; give rows without it`);
  return labels;
}
