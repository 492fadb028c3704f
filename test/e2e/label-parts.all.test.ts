// Labels in parts that workers write, `--labels-out shards`: the same as in whole files, also after kills; and who does not see the folder.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { stemOf } from '../../data/row-parts.ts';
import { randomNumbers } from '../coordinator/fit/support.ts';
import {
  dpmesh,
  eventsOf,
  jsonOf,
  labelsOf,
  library,
  ofType,
  preloading,
  QUICK,
  ROW_FILES,
  refused,
  scratch,
  sha256,
  start,
  startCoordinator,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const COLUMNS = ROW_FILES.map(stemOf);
/** Parts have 2¹⁸ rows. */
const ROWS = 800_000;
const PARTS = 4;

/** Files that are there, below the folder of parts, of a column or of `sums`. */
const partsOf = (run: string, column: string): string[] => {
  try {
    const names = readdirSync(join(run, 'labels'), { recursive: true }).map(String);
    return names.filter((name) => name.endsWith('.npy') && name.includes(`${column}-`));
  } catch {
    return [];
  }
};

describe('labels in parts', () => {
  const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
  let flags: (string | number)[];
  let data: string;
  let scores: object;
  before(async () => {
    const { normal } = randomNumbers(1);
    const classes = Int32Array.from({ length: ROWS }, (_, row) => (row % 7) % 3);
    const x = Float32Array.from({ length: 2 * ROWS }, (_, p) => 8 * classes[p >> 1] * (p % 2) + normal());
    const labels = join(folder, 'y.npy');
    data = join(folder, 'x.npy');
    writeNpy(data, '<f4', [ROWS, 2], x);
    writeNpy(labels, '<i4', [ROWS], classes);
    flags = [...QUICK, '--labels', labels, '--max-epochs', 4, '--sample', 600, '--no-http'];
    const { nmi, ari, k } = jsonOf(await dpmesh(trainArgs(data, whole, '--workers', 2, ...flags)));
    scores = { nmi, ari, k };
  });

  test('are those of whole files, when a worker was killed, then the run, and it was resumed', async () => {
    const args = trainArgs(data, parts, '--workers', 2, '--labels-out', 'shards', ...flags);
    // A disk on which each process writes one part, and hangs at the next.
    const env = preloading(
      folder,
      'hangs',
      `const { renameSync } = fs;
      let parts = 0;
      fs.renameSync = (from, to) => {
        if (to.includes('distances-') && parts++ > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        renameSync(from, to);
      };`,
    );
    const running = start(args, { env });
    await until('a part', () => partsOf(parts, 'sums').length > 0, running);
    process.kill(ofType(eventsOf(parts), 'worker')[0].pid!, 'SIGKILL');
    await until('another', () => partsOf(parts, 'sums').length > 1, running);
    await running.killAll();
    const saved = partsOf(parts, 'sums').map((name) => name.replace(/^.*sums-/, ''));
    // Of two workers and the one that took the place of one.
    assert.ok(saved.length === 2 || saved.length === 3, `${saved.length} parts`);
    const inodes = (saved: string[]) =>
      partsOf(parts, 'distances')
        .filter((name) => saved.some((rows) => name.endsWith(rows)))
        .map((name) => statSync(join(parts, 'labels', name)).ino)
        .sort();
    const written = inodes(saved);
    // Killed again once all are labelled, before the run is over.
    const again = ['resume', parts, '--json', '--no-http', '--workers', 1];
    const late = preloading(
      folder,
      'late',
      `const { renameSync } = fs;
      fs.renameSync = (from, to) => (to.endsWith('clusters.json') ? process.kill(process.pid, 'SIGKILL') : renameSync(from, to));`,
    );
    assert.equal((await dpmesh(again, { env: late, grace: 10 })).signal, 'SIGKILL');
    assert.deepEqual(inodes(saved), written);
    const labelled = inodes(['']);
    const { nmi, ari, k } = jsonOf(await dpmesh(again));
    assert.deepEqual({ nmi, ari, k }, scores);
    // Only what was missing was labelled again.
    assert.deepEqual(inodes(['']), labelled);

    const index = JSON.parse(readFileSync(join(parts, 'labels/index.json'), 'utf8'));
    assert.equal(index.parts.length, PARTS);
    // Sums over rows, too, count each part once.
    const counts = (run: string) => readNpy(join(run, 'mixture/counts.npy')).data;
    assert.deepEqual(counts(parts), counts(whole));
    for (const column of COLUMNS) {
      const files = index.parts.map((part: Record<string, { file: string; sha256: string }>) => part[column]);
      for (const { file, sha256: hash } of files)
        assert.equal(sha256(join(parts, 'labels', file)), hash, file);
      const all = files.flatMap(({ file }: { file: string }) => [
        ...readNpy(join(parts, 'labels', file)).data,
      ]);
      const expected = readNpy(join(whole, `${column}.npy`)).data;
      assert.ok(expected.every((value, row) => value === all[row]) && all.length === expected.length, column);
    }
    assert.equal(readdirSync(join(parts, 'labels')).length, 2 + COLUMNS.length * PARTS);
  });

  test('are read as those of other runs', async () => {
    const { openRun } = await library();
    const { result } = await openRun(parts);
    assert.deepEqual(result!.labels, labelsOf(whole).data);
    assert.deepEqual(result!.distances, readNpy(join(whole, 'distances.npy')).data);
    assert.deepEqual(result!.map, readNpy(join(whole, 'map.npy')).data);
    assert.match(readFileSync(join(parts, 'report/report.html'), 'utf8'), /<svg/);
  });

  test('end a run before training where a worker does not see them', async () => {
    const [run, out] = [join(folder, 'unseen'), ['--labels-out', 'shards']];
    const { running, address } = await startCoordinator(data, run, '--no-report', ...flags, ...out);
    const elsewhere = join(folder, 'data.d');
    mkdirSync(elsewhere);
    const worker = start(['worker', '--connect', address, '--data-root', elsewhere]);
    const [end, left] = await Promise.all([running.ended, worker.ended]);
    refused(end, 'worker w1 on ', join(run, 'labels'), '--data-root', '--labels-out shards');
    assert.equal(left.code, 2);
    assert.equal(ofType(eventsOf(run), 'epoch').length, 0);
  });

  test('exclude what needs whole files', async () => {
    const args = trainArgs(data, join(folder, 'none'), '--labels-out', 'shards', '--soft');
    refused(await dpmesh(args), '--labels-out shards', '--soft');
  });
});
