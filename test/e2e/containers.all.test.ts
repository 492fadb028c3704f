import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { predict } from '../../library/predict.ts';
import { fixture, safetensorsOf, zipOf } from '../data/arrays/fixtures.ts';
import { dpmesh, easyData, jsonOf, QUICK, scratch, trainArgs } from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const { data, labels, rows } = easyData(folder, 'easy', 1000);

test('an array of a file of several gives the bytes of the same .npy, for any number of workers', async () => {
  const members = { 'x.npy': readFileSync(data), 'y.npy': readFileSync(labels), 'z.npy': readFileSync(data) };
  writeFileSync(path('x.npz'), zipOf(members));
  const bytes = Buffer.from(rows.buffer);
  const tensor = { dtype: 'F32', shape: [1000, 3], data_offsets: [0, bytes.length] };
  writeFileSync(path('x.safetensors'), safetensorsOf({ x: tensor }, bytes));
  const results: Buffer[] = [];
  for (const [workers, file, ...flags] of [
    [1, 'easy.npy'],
    [2, 'x.npz', '--columns', 'x', '--labels', `${path('x.npz')}:y`],
    [3, 'x.safetensors'],
  ] as const) {
    const out = path(`run${workers}`);
    const ended = await dpmesh(
      trainArgs(path(file), out, '--workers', workers, '--max-epochs', 5, ...QUICK, ...flags),
    );
    jsonOf(ended);
    results.push(readFileSync(join(out, 'labels.npy')));
    assert.deepEqual(results.at(-1), results[0], file);
  }
  // The array has the name of the one in the run, or is the only one.
  const own = readNpy(path('run2/labels.npy')).data;
  for (const file of ['x.npz', 'x.safetensors'])
    assert.deepEqual((await predict({ run: path('run2'), data: path(file) })).labels, own);
});

test('the cells of an .h5ad have their own names in all results, and a dry run names its arrays', async () => {
  const cells = path('cells.h5ad');
  writeFileSync(cells, fixture('dense.h5ad'));
  const plan = await dpmesh(['train', cells, '--dry-run'], { cwd: folder });
  assert.match(plan.stdout, /^arrays +X \(12, 4\), obsm\/X_pca \(12, 2\), .*such as --columns obsm\/X_pca$/m);
  assert.match(plan.stdout, /^names of rows +column obs_names$/m);
  const run = path('cells');
  jsonOf(await dpmesh(trainArgs(cells, run, '--workers', 1, '--columns', 'X_pca', ...QUICK)));
  const names = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, 3);
  const [title, ...first] = names(join(run, 'labels.csv')).map((line) => line.split(',')[0]);
  assert.deepEqual([title, ...first], ['obs_names', 'cell0', 'cell1']);
  const { clusters } = JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8'));
  for (const { row, id } of clusters[0].exemplars) assert.equal(id, `cell${row}`);
  await predict({ run, data: cells, out: path('cells.csv') });
  assert.deepEqual(
    names(path('cells.csv')).map((line) => line.split(',')[0]),
    [title, ...first],
  );
});
