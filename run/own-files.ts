import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDraft } from '../base/drafts.ts';
import { REPORT_FILES } from './report-files.ts';
import { recordedHashes } from './run-files.ts';
import { EVENTS, FOLDERS, isUnfinished, RUN_FILES } from './run-path.ts';

/** Which of the files in a run directory the run has written. People keep others there, also in the run's own folders. */

/** Those without a hash in run.json, or, after a `dpmesh rename` that was killed, for now. */
const WITHOUT_HASH = [
  ...['run.json', EVENTS, 'names.jsonl', 'lock', 'clusters.json', 'labels.csv', 'map.bin', ...FOLDERS],
  ...REPORT_FILES.map((name) => `report/${name}`),
  ...['checkpoints/encoder.ckpt', 'stream/drawn.ckpt', 'labels/seen'],
];
/** Checkpoints, and labels in parts. */
const NUMBERED = /^(checkpoints\/epoch-\d+\.ckpt|labels\/([0-9a-f]{16}|[a-z]+-\d{12}-\d{12}\.npy))$/;

/** What lies in the folder of a run and, one by one, in its own folders: the path from there, and whether the run has written it. */
export function entriesOf(run: string): { name: string; isOwn: boolean }[] {
  const hashes = recordedHashes(run);
  // A run that is not finished has no hashes.
  const known = (name: string) =>
    Object.keys(hashes).length
      ? Object.hasOwn(hashes, name) || WITHOUT_HASH.includes(name) || NUMBERED.test(name)
      : RUN_FILES.includes(name.split('/')[0]) || name === 'lock';
  const isOwn = (name: string) => known(name) || (name.includes('/') ? isDraft(name) : isUnfinished(name));
  return readdirSync(run, { withFileTypes: true })
    .flatMap((entry) =>
      FOLDERS.includes(entry.name) && entry.isDirectory()
        ? readdirSync(join(run, entry.name)).map((name) => `${entry.name}/${name}`)
        : entry.name,
    )
    .map((name) => ({ name, isOwn: isOwn(name) }));
}
