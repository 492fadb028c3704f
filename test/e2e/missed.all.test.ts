// A cluster of which the sample has too few rows is added once all rows are read, whatever labels them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { predict } from '../../index.ts';
import { priority } from '../../model/random.ts';
import { normals } from '../model/support.ts';
import {
  dpmesh,
  jsonOf,
  labelsOf,
  QUICK,
  runFileOf,
  scratch,
  times,
  trainArgs,
  writeRows,
} from './support.ts';

const folder = scratch();
const [ROWS, D, SAMPLE] = [12_000, 4, 1000];
/** None is in a sample of so many rows. */
const isRare = (row: number) => row % 200 === 7 && priority(0n)(row) > 0.1;
const RARE = times(ROWS, isRare).filter(Boolean).length;
const CENTRES = [
  [0, 0, 0, 0],
  [14, 0, 0, 0],
  [0, 14, 0, 0],
  [0, 0, 14, 14],
];
/** Of the missed cluster; a row between it and the others; and one beyond it. */
const [CENTRE, ALONE] = [
  [-8, -8, 0, 0],
  [40, -60, 20, 0],
];

describe('a cluster of one row in two hundred, of which the sample has none', () => {
  const next = normals(31);
  const rows = times(ROWS, (row) =>
    (row === 100 ? ALONE : isRare(row) ? CENTRE : CENTRES[row % CENTRES.length]).map(
      (centre) => centre + next(),
    ),
  );
  const data = writeRows(join(folder, 'rows.npy'), rows);
  const run = join(folder, 'run');
  let result: Record<string, unknown>;
  before(async () => {
    result = jsonOf(await dpmesh(trainArgs(data, run, '--sample', SAMPLE, ...QUICK, '--soft')));
  });

  test('is found, and what was done is said', () => {
    assert.equal(result.k, 5);
    const { data: labels } = labelsOf(run);
    const own = [...labels.keys()].filter((row) => labels[row] === 4);
    assert.ok(own.filter((row) => isRare(row)).length >= RARE - 1 && own.length <= RARE + 2, `${own.length}`);
    const notes = (result.notes as string[]).filter((note) => /added/.test(note));
    assert.equal(notes.length, 1);
    assert.match(notes[0], /^a cluster of \d+ rows, .*training found 4$/);
    assert.equal(runFileOf(run).order!.filter((cluster: number) => cluster === 4).length, 1);
    const means = readNpy(join(run, 'mixture', 'means.npy'));
    assert.deepEqual(means.shape, [5, D]);
    assert.equal(JSON.parse(readFileSync(join(run, 'tree.json'), 'utf8')).sizes.length, 5);
  });

  test('and a row that no cluster explains is not sure of its own', () => {
    const confidences = readNpy(join(run, 'confidences.npy')).data;
    assert.ok(confidences[100] < 0.01);
    assert.ok(confidences[7] > 0.99);
  });

  test('and rows so far away that float32 has no density for them get a cluster too', async () => {
    const far = writeRows(join(folder, 'far.npy'), [Array(D).fill(9e17), Array(D).fill(-1e12), CENTRE]);
    const { labels, responsibilities } = await predict({ run, data: far, soft: true });
    for (const [row, label] of labels.entries())
      for (let k = 0; k < 5; k++)
        assert.ok(Math.abs(responsibilities![5 * row + k] - Number(k === label)) < 1e-6, `${row}, ${k}`);
    assert.equal(labels[2], 4);
  });

  test('but not where the number of clusters was given', async () => {
    const given = join(folder, 'given');
    const { k, notes } = jsonOf(
      await dpmesh(trainArgs(data, given, '--sample', SAMPLE, ...QUICK, '--clusters', 4)),
    );
    assert.equal(k, 4);
    assert.ok(
      (notes as string[]).some((note) => /^5\d rows are farther/.test(note)),
      `${notes}`,
    );
  });
});
