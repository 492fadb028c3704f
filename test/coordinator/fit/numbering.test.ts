import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { WriteError } from '../../../base/files.ts';
import {
  type LabellingOptions,
  labelAllRows,
  OutliersAlone,
  type Reviewed,
} from '../../../coordinator/fit/full-pass.ts';
import type { RoundSpec } from '../../../coordinator/rounds/round.ts';
import { sumOfParts } from '../../../coordinator/rounds/sums.ts';
import { readNpy } from '../../../data/npy.ts';
import { confidenceOf } from '../../../model/description/distances.ts';
import { layoutOf, shardBlocks } from '../../../model/layout.ts';
import { priority } from '../../../model/random.ts';
import { contingency } from '../../../model/scores.ts';
import { treeSum } from '../../../model/tree.ts';
import { MOST_SHOWN } from '../../../model/widths.ts';
import { nd, type Tensors } from '../../../proto/tensors.ts';
import type { FullPassResult } from '../../../run/descriptions.ts';
import { openRunDirectory, type RunDirectory } from '../../../run/run-directory.ts';
import { nothingShown, randomNumbers } from './support.ts';

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

/** A row's distance from the centre of its cluster. */
const distanceOf = (row: number) => Math.fround(row / 100);

/** The rows of a unit that a worker would show: the first ten of each label, as distances rise with rows. */
function shownOf(blocks: { start: number }[], rows: number[], label: (row: number) => number): Tensors {
  const tensors = nothingShown(rows.length, K, 2);
  tensors.distance = nd(Float32Array.from(rows, distanceOf));
  tensors.columns.data.fill(blocks.length);
  for (let unit = 0; unit < K; unit++) {
    const own = [...rows.keys()].filter((i) => label(rows[i]) === unit).sort((a, b) => rows[a] - rows[b]);
    for (const [i, place] of own.slice(0, MOST_SHOWN).entries()) {
      const p = unit * MOST_SHOWN + i;
      for (const name of ['exemplars', 'border']) tensors[name].data[p] = place;
      tensors.margin.data[p] = distanceOf(rows[place]) / 1000;
      tensors.rival.data[p] = (unit + 1) % K;
    }
  }
  return tensors;
}

/** The far rows of a unit that a worker would keep: every fiftieth is far. */
function farOf(rows: number[], most: number): Tensors {
  const priorityOf = priority(7n);
  const all = [...rows.keys()].filter((i) => rows[i] % 50 === 0);
  const kept = all.sort((a, b) => priorityOf(rows[a]) - priorityOf(rows[b])).slice(0, most);
  return {
    far: nd(Int32Array.from(kept)),
    farComponents: nd(Int32Array.from(kept, (i) => unitOf(rows[i]))),
    farRows: nd(
      Float32Array.from(kept, (i) => rows[i]),
      kept.length,
      1,
    ),
    allFar: nd(Int32Array.of(all.length)),
  };
}

/** The full pass of a run whose workers label by `unitOf`. */
async function labelled(
  out: RunDirectory,
  label = unitOf,
  isOutlier: ((row: number) => boolean) | null = null,
  more: NonNullable<LabellingOptions> = {},
  likelihood = 'graph',
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
            component: nd(Int32Array.from(rows, label)),
            T: nd(T),
            ...shownOf(own, rows, label),
            seen: nd(Float32Array.of(unit.shard)),
            seenLabels: nd(Int32Array.of(label(rows[0]))),
            ...(more.far && farOf(rows, more.far)),
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
    config: { soft: true, covariance: 'diag', components: true },
    dispatcher,
    transform: { fences: isOutlier && {}, dim: 1 },
    likelihood: { name: likelihood },
  } as unknown as Parameters<typeof labelAllRows>[0];
  return (await labelAllRows(run, layout, K, out, { truth, below: BELOW, ...more }))!;
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
    assert.deepEqual(readNpy(join(out.path, 'components.npy')).data, labels);
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

  test('with the rows to show of each cluster, the quantiles of its distances and its sums by column', async () => {
    const out = await directory('shown');
    const { shown, columns } = await labelled(out);
    out.close();
    for (const [cluster, unit] of ORDER.entries()) {
      const own = Array.from({ length: ROWS }, (_, row) => row).filter((row) => unitOf(row) === unit);
      const first = own.slice(0, MOST_SHOWN);
      assert.deepEqual(
        shown.exemplars[cluster],
        first.map((row) => ({ row, distance: distanceOf(row) })),
      );
      assert.deepEqual(
        shown.border[cluster].map(({ row, rival }) => [row, ORDER[rival]]),
        first.map((row) => [row, (unit + 1) % K]),
      );
      const median = shown.quantiles[cluster * 1001 + 500];
      if (own.length) {
        const middle = (own[own.length / 2 - 1] + own[own.length / 2]) / 2;
        assert.ok(Math.abs(median - middle / 100) < 1e-4 * median, `${median}`);
      } else assert.equal(median, 0);
    }
    const blocks = shardBlocks(layout).flat().length;
    assert.ok([...columns.sums, columns.squares].every((own) => own.every((sum) => sum === blocks)));
    assert.deepEqual(
      readNpy(join(out.path, 'distances.npy')).data,
      Float32Array.from({ length: ROWS }, (_, row) => distanceOf(row)),
    );
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
              assert.ok(names().every((draft) => draft.endsWith('.tmp')));
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
    const { order, T, counts, outliers, sampledOutliers } = await labelled(out, label, isOutlier);
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
      return rows.filter((row) => isOutlier(row) && priorityOf(row) < BELOW);
    });
    assert.deepEqual(sampledOutliers, sampled);
  });

  test('and how sure they are by their distances, if clusters are Gaussian', async () => {
    const out = await directory('sure');
    const { unexplained } = await labelled(out, unitOf, null, {}, 'gaussian');
    out.close();
    const { data } = readNpy(join(out.path, 'confidences.npy'));
    const expected = Float32Array.from({ length: ROWS }, (_, row) => confidenceOf(1, distanceOf(row), 1));
    assert.deepEqual(data, expected);
    assert.equal(unexplained, expected.filter((sure) => sure < 1).length);
    const graph = await directory('graph');
    assert.equal((await labelled(graph)).unexplained, 0);
    graph.close();
    assert.ok(readNpy(join(graph.path, 'confidences.npy')).data.every((sure) => sure === 1));
  });

  test('not if a review of far rows finds them wrong, and no file is left', async () => {
    const out = await directory('reviewed');
    const priorityOf = priority(7n);
    const far = Array.from({ length: 400 }, (_, i) => 50 * i).toSorted(
      (a, b) => priorityOf(a) - priorityOf(b),
    );
    let seen: Reviewed | null = null;
    const found = await labelled(out, unitOf, null, {
      far: 100,
      review: async (given) => {
        seen = given;
        return false;
      },
    });
    out.close();
    assert.equal(found, null);
    assert.deepEqual(
      readdirSync(out.path).filter((name) => /npy/.test(name)),
      [],
    );
    const { T, far: kept } = seen! as Reviewed;
    assert.deepEqual(
      T.map(([rows]) => rows),
      [4000, 0, 4000, 2000, 10_000],
    );
    // Of all units those of the least priorities.
    assert.deepEqual([...kept.rows], far.slice(0, 100));
    assert.deepEqual([...kept.labels], far.slice(0, 100).map(unitOf));
    assert.equal(kept.share, 0.25);
  });

  test('not if only outliers have the label of one: the units without other rows are told, and no file is left', async () => {
    const out = await directory('alone');
    await assert.rejects(
      labelled(out, undefined, (row) => unitOf(row) === 3),
      (error) => error instanceof OutliersAlone && error.components.join() === '1,3',
    );
    out.close();
    assert.deepEqual(
      readdirSync(out.path).filter((name) => /npy/.test(name)),
      [],
    );
  });
});

test('results of a part are saved as they came, in whatever order', async () => {
  const rows = 600_000;
  const layout = layoutOf(rows, 1, 2, 7n);
  const saved: [number, number, number][] = [];
  const read = (from: number, to: number): Tensors => ({
    labels: nd(new Int32Array(to - from)),
    ...nothingShown(to - from, 1, 2),
  });
  const parts = () => ({
    ...{ read, saved: () => null, async finish() {} },
    save: (from: number, to: number, { T }: Tensors) => void saved.push([from, to, T.data[0]]),
  });
  const dispatcher = {
    async round({ units, each }: RoundSpec) {
      for (const unit of [...units].reverse()) {
        const n = Math.min(rows, unit.to * layout.blockRows) - unit.from * layout.blockRows;
        const seen = { seen: nd(new Float32Array(0)), seenLabels: nd(new Int32Array(0)) };
        const sums = { T: nd(Float64Array.of(n, 0, 0)), hashes: nd(new Uint8Array(96)) };
        each!(unit, [{ ...nothingShown(0, 1, 2), ...seen, ...sums }]);
      }
      return [];
    },
    ...{ abort: assert.fail, state: () => ({}) },
  };
  const run = {
    ...{ config: { soft: false, covariance: 'diag' }, dispatcher, transform: { fences: null, dim: 1 } },
    likelihood: { name: 'graph' },
  } as unknown as Parameters<typeof labelAllRows>[0];
  const out = { pieces: () => assert.fail('no whole file') };
  const found = await labelAllRows(run, layout, 1, out, { parts });
  assert.deepEqual(
    saved.map(([from, to, T]) => [from, T - (to - from)]),
    [
      [524288, 0],
      [262144, 0],
      [0, 0],
    ],
  );
  assert.equal(found!.T[0][0], rows);
});

test('sums of large arrays, added up piece by piece, have the bits of the tree, for missing parts too', () => {
  const { normal } = randomNumbers(1);
  const parts = Array.from({ length: 5 }, () => Float64Array.from({ length: 150_000 }, normal));
  const sparse = [parts[0], undefined, parts[2], parts[3], parts[4]];
  for (const some of [parts, sparse]) assert.deepEqual(sumOfParts(some), treeSum(some));
});
