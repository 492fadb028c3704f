import { createHash } from 'node:crypto';
import { realPath, sha256OfFile, statusOf } from '../base/files.ts';
import { UserError } from '../base/user-error.ts';
import { assertVersion, fileVersion } from '../data/cache.ts';
import { labelsFile } from '../data/label-spec.ts';
import { tableFileAt } from '../data/open.ts';
import { isRemote } from '../data/remote/address.ts';
import { atPlace } from '../data/remote/place.ts';
import type { Source } from '../data/source.ts';
import type { RunConfig } from './config.ts';
import type { ShownFiles } from './run-file.ts';

/**
 * The files that have what is shown of rows beside the numbers that were clustered, which `data.fingerprint` is of: texts, other columns, classes.
 * With other content it would be shown of the wrong rows.
 */

type What = keyof ShownFiles;
type Named = Pick<RunConfig, What>;

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** The files of a run whose data are a table, or not. */
function filesOf({ data, texts, labels }: Named, isTable: boolean): [What, string][] {
  const file = labels && labelsFile(labels);
  const isOwn = (path: string | null): path is string =>
    path !== null && !(isTable && (path === data || (!isRemote(path) && realPath(path) === realPath(data))));
  return [
    ...(isTable ? [['data', data] satisfies [What, string]] : []),
    ...(isOwn(texts) ? [['texts', texts] satisfies [What, string]] : []),
    // The classes of images are the names of their folders.
    ...(isOwn(file) && (isRemote(file) || !statusOf(file)?.isDirectory())
      ? [['labels', file] satisfies [What, string]]
      : []),
  ];
}

interface Fingerprint {
  sha256: string;
  version: string;
}

/** SHA-256 of a file, or of those of several files. `known`: some that it may have, and which tell it unread. */
const fingerprintOf = (path: string, known: readonly (Fingerprint | null | undefined)[] = []) =>
  atPlace(path, { whole: true }, async (place) => {
    // A single file of any kind; else those of a table in parts.
    const table = statusOf(place)?.isFile() ? null : await tableFileAt(place);
    const parts = table?.parts ?? [place];
    const versionNow = () => table?.version() ?? fileVersion(place);
    const before = versionNow();
    const version = sha256(before);
    const same = known.find((own) => own?.version === version);
    if (same) return same;
    const hashes: string[] = [];
    for (const part of parts) hashes.push(await sha256OfFile(part));
    assertVersion(path, before, versionNow);
    return { sha256: hashes.length === 1 ? hashes[0] : sha256(hashes.join()), version };
  });

/** The last fingerprint of each file, so that one that was touched is read once. */
const last = new Map<string, Fingerprint>();

/**
 * The files at the end of a run. `source`: the rows, with their texts, which have been open since they were first read: what has changed since then
 * is null.
 */
export async function shownFiles(config: Named, source: Source): Promise<ShownFiles> {
  const found: ShownFiles = {};
  for (const [what, path] of filesOf(config, source.table !== undefined))
    try {
      const own = await fingerprintOf(path, [last.get(path)]);
      last.set(path, own);
      found[what] = own;
      if (what === 'data') await source.assertSameFile?.();
      // Its beginning is not read unless it is as it was.
      if (what === 'texts') for await (const _ of source.described?.read() ?? []) break;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      found[what] = null;
    }
  return found;
}

/**
 * Why what a file has is not to be shown of the rows of a run; null if it may be, or cannot be read, which its reader says.
 */
export async function shownProblem(
  { config, data: { shown } }: { config: Named; data: { shown?: ShownFiles } },
  wanted: readonly What[] = ['data', 'texts', 'labels'],
): Promise<string | null> {
  for (const [what, path] of filesOf(config, shown?.data !== undefined)) {
    const before = shown?.[what];
    if (!wanted.includes(what) || before === undefined) continue;
    const now = await fingerprintOf(path, [before, last.get(path)]).catch((error) => {
      if (!(error instanceof UserError)) throw error;
      return null;
    });
    if (now) last.set(path, now);
    if (now && now.sha256 !== before?.sha256) return `${path} has changed since the run`;
  }
  return null;
}
