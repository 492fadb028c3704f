import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isAbandoned, isDraft } from '../../base/drafts.ts';
import { makeFolder, remove } from '../../base/files.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { UserError } from '../../base/user-error.ts';
import { hasChanged, identityOf } from '../../run/base-run.ts';
import { FORMAT } from '../../run/finished-run.ts';
import { readRunFile } from '../../run/run-file.ts';
import { lockDirectory } from '../../run/run-lock.ts';
import { readStream } from '../../run/stream-files.ts';
import { readTrainedModel } from '../../run/trained-model.ts';
import {
  directoryOf,
  type Manifest,
  numbered,
  type Part,
  readManifest,
  waitingIn,
  writeManifest,
} from './manifest.ts';

/**
 * The folder of a follow: its manifest, `labels/` of parts, and of the last two updates `update-<n>`, a run directory, and `rows-<n>`, the copies of
 * its parts.
 */
export type FollowState = Awaited<ReturnType<typeof openState>>;

const NUMBERED = /^(update|rows)-(\d{6,})$/;

/** Opens the folder for this process. UserError if it is another's, or in use, or the run cannot be updated. */
export async function openState(folder: string, run: string) {
  // Of a run that cannot be followed there is no folder.
  if (!existsSync(folder)) openBase(run);
  else if (!readManifest(folder) && !readdirSync(folder).every((name) => isDraft(name) || name === 'lock'))
    throw new UserError(`--out ${folder} already exists, and is not the folder of a follow: choose another`);
  makeFolder(folder);
  const close = await lockDirectory(folder, 'follow');
  try {
    return { ...lockedState(folder, run), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** From what an update of the run at this path goes on. UserError if it cannot be updated. */
function openBase(path: string) {
  const about = readRunFile(path);
  const { text, texts } = about.config;
  const base = readStream(path);
  // Parts have no texts but those in a column.
  const hasTexts = text !== null && texts === null;
  const trained = readTrainedModel(path);
  return { path, identity: identityOf(about), base, stream: base.stream!, trained, hasTexts };
}

function lockedState(folder: string, run: string) {
  for (const { name } of readdirSync(folder, { withFileTypes: true }).filter((entry) =>
    entry.isSymbolicLink(),
  ))
    throw new UserError(
      `${join(folder, name)} is a symbolic link, and a follow does not write through links: remove it`,
    );
  const before = readManifest(folder);
  if (before && before.run !== run)
    throw new UserError(`${folder} follows ${before.run}, not ${run}: choose another --out`);
  const labels = join(folder, 'labels');
  let newest = openBase(directory(before?.updates ?? 0));
  let manifest: Manifest = before ?? {
    ...{ dpmesh: dpmeshVersion(), format: FORMAT, run, base: newest.identity },
    ...{ updates: 0, parts: [], batch: null },
  };
  if (manifest.updates === 0 && manifest.base !== newest.identity) {
    if (manifest.parts.length || manifest.batch) throw anotherRun();
    // There may be what was made of the one before.
    remove(directory(1));
    manifest = { ...manifest, base: newest.identity };
  }
  const table = existsSync(run) ? readRunFile(run).data.table : undefined;
  const ofRun = new Set(table?.parts.map(({ name, bytes }) => `${basename(name)} ${bytes}`));
  // From now on the folder is that of a follow.
  writeManifest(folder, manifest);
  tidy();
  if (existsSync(labels))
    for (const name of readdirSync(labels, { recursive: true }).map(String))
      if (isAbandoned(name)) remove(join(labels, name));

  function directory(update: number): string {
    return directoryOf(folder, run, update);
  }
  function anotherRun(): UserError {
    return new UserError(
      `${run} is not the run any more that ${folder} follows: another has taken its place, or it has gone on; follow it into another --out`,
    );
  }
  function rowsOf(update: number): string {
    return join(folder, numbered('rows', update));
  }
  /** Removes all that is not of the last two updates or the next one, and what was begun and is not in the manifest. */
  function tidy(): void {
    const { updates, batch } = manifest;
    for (const name of readdirSync(folder)) {
      const [, what, digits] = NUMBERED.exec(name) ?? [];
      const number = Number(digits);
      const isOld = number < updates - 1 || number > updates + 1;
      if (isAbandoned(name) || (what && isOld)) remove(join(folder, name));
    }
    const next = rowsOf(updates + 1);
    if (existsSync(next)) {
      const names = [...waitingIn(manifest), ...(batch?.parts ?? [])].map(({ copy }) => copy);
      for (const name of readdirSync(next)) if (!names.includes(name)) remove(join(next, name));
    }
  }

  return {
    folder,
    run,
    directory,
    manifest: () => manifest,
    /** The last update, from which the next one goes on. */
    newest: () => newest,
    /** UserError if the run is another by now. After the first update it is not read any more. */
    assertRun(): void {
      if (manifest.updates === 0 && hasChanged(run, newest.identity)) throw anotherRun();
    },
    /** Is it one of the files of the run's data, a table in parts? */
    isOfRun: ({ name, bytes }: Pick<Part, 'name' | 'bytes'>) => ofRun.has(`${basename(name)} ${bytes}`),
    /** Where a part of the next update is copied to. */
    pathOf: ({ copy }: Pick<Part, 'copy'>) => join(rowsOf(manifest.updates + 1), copy),
    rowsOf,
    labelsOf: ({ name }: Part) => join(labels, `${name}.npy`),
    /** Also what was made of it: an update of other rows would be taken for that of the next batch. */
    dropBatch(): void {
      remove(directory(manifest.updates + 1));
      save({ batch: null });
    },
    save,
  };

  function save(next: Partial<Manifest>): void {
    const isUpdated = next.updates !== undefined;
    manifest = { ...manifest, ...next };
    writeManifest(folder, manifest);
    if (!isUpdated) return;
    newest = openBase(directory(manifest.updates));
    tidy();
  }
}
