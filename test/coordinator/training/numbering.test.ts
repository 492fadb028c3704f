import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { WriteError } from '../../../base/files.ts';
import type { RoundSpec } from '../../../coordinator/scheduler/round.ts';
import { openRunDirectory, type RunDirectory } from '../../../coordinator/storage/run-directory.ts';
import { type FullPassResult, labelAllRows, OutliersAlone } from '../../../coordinator/training/full-pass.ts';
import type { Run } from '../../../coordinator/training/run-context.ts';
import { readNpy } from '../../../data/npy.ts';
import { layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { contingency } from '../../../model/scores.ts';
import { nd } from '../../../proto/tensors.ts';

const ROWS = 20_000;
const K = 5;
const layout = layoutOf(ROWS, 1, 2, 7n);
const folder = mkdtempSync(join(tmpdir(), 'dpmesh-numbering-'));
after(() => rmSync(folder, { recursive: true }));

/** Units 0 and 2 have as many rows, 1 has none, 4 has the most. */
const unitOf = (row: number) => [4, 0, 4, 2, 3, 2, 0, 4, 4, 4][row % 10];
const ORDER = [4, 0, 2, 3, 1];
/** A row's responsibility for a unit. */
const softOf = (row: number, unit: number) => Math.fround((row % 997) + unit / 8);
/** Rows with lower priorities are in the sample. */
const BELOW = 0.25;
const truth = Int32Array.from({ length: ROWS }, (_, row) => row % 3);

/** The full pass of a run whose workers label by `unitOf`. */
async function labelled(
  out: RunDirectory,
  label = unitOf,
  confirmed = async () => {},
  isOutlier: ((row: number) => boolean) | null = null,
): Promise<FullPassResult> {
  const dispatcher = {
    async round({ units, each }: RoundSpec) {
      for (const unit of [...units].reverse()) {
        const own = shardBlocks(layout)[unit.shard].slice(unit.from, unit.to);
        const rows = own.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));
        const T = new Float64Array(3 * K);
        for (const row of rows) {
          if (isOutlier?.(row)) continue;
          T[3 * label(row)]++;
          T[3 * label(row) + 1] += row;
        }
        each!(unit, [
          {
            labels: nd(Uint8Array.from(rows, label)),
            T: nd(T),
            seen: nd(Float32Array.of(unit.shard)),
            seenLabels: nd(Int32Array.of(label(rows[0]))),
            ...(isOutlier && { outliers: nd(Uint8Array.from(rows, (row) => Number(isOutlier(row)))) }),
            soft: nd(
              Float32Array.from(rows.flatMap((row) => Array.from({ length: K }, (_, k) => softOf(row, k)))),
            ),
          },
        ]);
      }
      return [];
    },
    abort: assert.fail,
  };
  const run = {
    config: { soft: true, covariance: 'diag' },
    d: 1,
    dispatcher,
    calculate: async () => null,
    transform: { fences: isOutlier && {} },
  } as unknown as Run;
  return labelAllRows(run, layout, K, truth, out, confirmed, BELOW);
}

async function directory(name: string): Promise<RunDirectory> {
  const out = await openRunDirectory(join(folder, name));
  await out.create({});
  return out;
}

describe('the full pass numbers clusters by their exact sizes', () => {
  test('in labels, responsibilities, statistics and the table alike', async () => {
    const out = await directory('all');
    const { order, T, table } = await labelled(out);
    out.close();
    assert.deepEqual(order, ORDER);
    assert.deepEqual(
      T.map(([rows]) => rows),
      [10_000, 4000, 4000, 2000, 0],
    );
    const labels = readNpy(join(out.path, 'labels.npy')).data;
    const soft = readNpy(join(out.path, 'responsibilities.npy')).data;
    const sums = new Float64Array(K);
    for (let row = 0; row < ROWS; row++) {
      assert.equal(ORDER[labels[row]], unitOf(row));
      sums[labels[row]] += row;
      for (let k = 0; k < K; k++) assert.equal(soft[row * K + k], softOf(row, ORDER[k]));
    }
    assert.deepEqual(
      T.map(([, sum]) => sum),
      [...sums],
    );
    assert.deepEqual(table, contingency(labels, truth));
  });

  test('without a change to files whose order is right already', async () => {
    const out = await directory('right');
    const pieces: RunDirectory['pieces'] = (...args) => ({
      ...out.pieces(...args),
      update: async () => assert.fail(),
    });
    const { order } = await labelled({ ...out, pieces }, (row) => ORDER.indexOf(unitOf(row)));
    out.close();
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
    const read = (run: string, name: string) => readFileSync(join(folder, run, name));
    assert.ok(read('right', 'labels.npy').equals(read('all', 'labels.npy')));
  });

  test('before the files get their names: one that cannot be changed leaves none, and the next attempt is the same', async () => {
    const out = await directory('full');
    const names = () => readdirSync(out.path).filter((name) => /labels|responsibilities/.test(name));
    const full = new WriteError('responsibilities.npy', 'no space left on the disk');
    const pieces: RunDirectory['pieces'] = (name, ...args) => {
      const file = out.pieces(name, ...args);
      return name === 'labels.npy'
        ? file
        : {
            ...file,
            async update() {
              // The labels have their new numbers by now.
              assert.ok(names().every((draft) => draft.endsWith('.tmp')));
              assert.equal(names().length, 2);
              throw full;
            },
          };
    };
    await assert.rejects(labelled({ ...out, pieces }), full);
    assert.deepEqual(names(), []);
    await labelled(out);
    out.close();
    for (const name of ['labels.npy', 'responsibilities.npy'])
      assert.ok(readFileSync(join(out.path, name)).equals(readFileSync(join(folder, 'all', name))), name);
  });

  test('outliers included, which have no part in statistics', async () => {
    const out = await directory('outliers');
    // Without them unit 2 has more rows than unit 0.
    const isOutlier = (row: number) => row % 20 === 1;
    const label = (row: number) => (row === 3 ? 0 : unitOf(row));
    const { order, T, counts, outliers, sampledOutliers } = await labelled(out, label, undefined, isOutlier);
    out.close();
    assert.deepEqual(order, [4, 0, 2, 3, 1]);
    assert.deepEqual(counts, [10_000, 4001, 3999, 2000, 0]);
    assert.deepEqual(
      T.map(([rows]) => rows),
      [10_000, 3001, 3999, 2000, 0],
    );
    const { data: flags } = readNpy(join(out.path, 'outliers.npy'));
    for (let row = 0; row < ROWS; row++) assert.equal(Boolean(flags[row]), isOutlier(row));
    assert.equal(outliers, 1000);
    const priorityOf = priority(7n);
    const sampled = shardBlocks(layout).map((blocks) => {
      const rows = blocks.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));
      return rows.filter((row) => isOutlier(row) && priorityOf(row) < BELOW).length;
    });
    assert.deepEqual(sampledOutliers, sampled);
  });

  test('not if only outliers have the label of one: the units without other rows are told, and no file is left', async () => {
    const out = await directory('alone');
    await assert.rejects(
      labelled(out, undefined, undefined, (row) => unitOf(row) === 3),
      (error) => error instanceof OutliersAlone && error.units.join() === '1,3',
    );
    out.close();
    assert.deepEqual(
      readdirSync(out.path).filter((name) => /npy/.test(name)),
      [],
    );
  });

  test('only once the data are confirmed', async () => {
    const out = await directory('misread');
    const changed = new Error('misread');
    const pieces: RunDirectory['pieces'] = (...args) => ({
      ...out.pieces(...args),
      update: async () => assert.fail(),
    });
    await assert.rejects(
      labelled({ ...out, pieces }, unitOf, () => Promise.reject(changed)),
      changed,
    );
    out.close();
  });
});
