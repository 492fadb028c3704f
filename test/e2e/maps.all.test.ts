// The map of a run for other programs: Embedding Atlas and DataMapPlot, by these themselves where they are installed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parquetReadObjects } from 'hyparquet';
import { decode } from '../../data/arrays/dtype.ts';
import { openNpz } from '../../data/arrays/npz.ts';
import { readNpy } from '../../data/npy.ts';
import { normals } from '../model/support.ts';
import { dpmesh, jsonOf, QUICK, refused, scratch, trainArgs } from './support.ts';

const ROWS = 600;
const folder = scratch();
const path = (name: string) => join(folder, name);
/** By cluster: typical words, of which some are not ASCII. */
const WORDS = ['Wein 🍷', 'harbour', '金属', 'puzzle', 'opera', 'sonnet'];

/** Does this Python have the package? */
function has(name: string): boolean {
  try {
    execFileSync('python3', ['-c', `import ${name}`], { stdio: 'pipe', timeout: 120_000 });
    return true;
  } catch {
    return false;
  }
}

describe('the map of a run for other programs', () => {
  const [run, atlas, npz] = [path('run'), path('atlas'), path('map.npz')];
  before(async () => {
    const next = normals(1);
    const lines = Array.from({ length: ROWS }, (_, i) => {
      const c = i % WORDS.length;
      const numbers = [c % 3, Math.floor(c / 3), c === 4 ? 1 : 0].map((at) => 20 * at + next());
      return `${numbers.join()},"${WORDS[c]} ""of"" row ${i}"`;
    });
    writeFileSync(path('x.csv'), `length,cluster,weight,about\n${lines.join('\n')}\n`);
    const flags = ['--text', 'about', '--no-http', '--no-report', ...QUICK];
    assert.equal(jsonOf(await dpmesh(trainArgs(path('x.csv'), run, ...flags))).k, WORDS.length);
    const exported = await dpmesh(['export', run, '--atlas', atlas, '--datamapplot', npz]);
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(exported.stdout, /600 rows, names in layers of 6, 2\n.*600 rows, names in layers of 6, 2/);
  });
  const clusters = () => JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8')).clusters;
  const parquet = async (name: string) => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(atlas, name));
    return parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer });
  };

  test('as Parquet: all rows with what is known of them, and names with their places', async () => {
    const rows = await parquet('rows.parquet');
    const [labels, map] = ['labels.npy', 'map.npy'].map((name) => readNpy(join(run, name)).data);
    assert.equal(rows.length, ROWS);
    for (const [i, row] of rows.entries()) {
      assert.equal(row.text, `${WORDS[i % WORDS.length]} "of" row ${i}`);
      assert.deepEqual(
        [row.row, row.cluster, row.name, row.map_x, row.map_y],
        [i, labels[i], clusters()[labels[i]].name, map[2 * i], map[2 * i + 1]],
      );
      assert.ok(row.confidence > 0 && row.outlier_score >= 0 && Number.isFinite(row.length));
    }
    assert.deepEqual(Object.keys(rows[0]).slice(-3), ['length', 'cluster (data)', 'weight']);
    const names = await parquet('labels.parquet');
    assert.deepEqual(
      new Set(names.filter(({ level }) => level === 0).map(({ text }) => text)),
      new Set(clusters().map(({ name }: { name: string }) => name)),
    );
    for (const { x, y } of names) assert.ok(Number.isFinite(x) && Number.isFinite(y));
  });

  test('as .npz: places, labels and names by layer', async () => {
    const container = await openNpz(npz);
    const read = async (name: string) => (await container.open(name)).file;
    const names = await read('names_0');
    assert.deepEqual(names.shape, [WORDS.length]);
    const content = readFileSync(npz);
    const width = names.dtype.size / 4;
    const texts = Array.from({ length: WORDS.length }, (_, i) =>
      Array.from({ length: width }, (_, j) => content.readUInt32LE(names.offset + 4 * (i * width + j)))
        .filter(Boolean)
        .map((point) => String.fromCodePoint(point))
        .join(''),
    );
    assert.deepEqual(new Set(texts), new Set(clusters().map(({ name }: { name: string }) => name)));
    const layer = await read('labels_0');
    const bytes = content.subarray(layer.offset, layer.offset + 4 * ROWS);
    const labels = readNpy(join(run, 'labels.npy')).data;
    for (const [i, place] of [...decode(new Uint8Array(bytes), layer.dtype)].entries())
      assert.equal(texts[Number(place)], clusters()[labels[i]].name);
    assert.deepEqual((await read('map')).shape, [ROWS, 2]);
    assert.deepEqual((await read('labels_1')).shape, [ROWS]);
    container.close();
  });

  test('is not written over other files, nor without a map', async () => {
    refused(await dpmesh(['export', run, '--atlas', atlas]), /rows\.parquet already exists/);
    refused(await dpmesh(['export', run, '--datamapplot', npz]), /map\.npz already exists/);
    refused(await dpmesh(['export', run]), /--onnx FILE, --atlas FOLDER or --datamapplot FILE/);
    assert.equal((await dpmesh(['export', run, '--atlas', atlas, '--force'])).code, 0);
    refused(
      await dpmesh(['export', run, '--atlas', run, '--force']),
      /labels\.parquet is one of the run's own/,
    );
    const rows = path('rows.parquet');
    copyFileSync(join(atlas, 'rows.parquet'), rows);
    const before = readFileSync(rows);
    const trained = trainArgs(rows, path('rows'), '--columns', 'map_x,map_y', '--no-http', '--max-epochs', 1);
    jsonOf(await dpmesh([...trained, '--no-report']));
    refused(await dpmesh(['export', path('rows'), '--atlas', path('.'), '--force']), /the run has read/);
    assert.deepEqual(readFileSync(rows), before);
  });

  test('is opened by Embedding Atlas', { skip: !has('embedding_atlas') && 'it is not installed' }, () => {
    const application = path('application');
    execFileSync(
      'python3',
      [
        ...[
          '-m',
          'embedding_atlas.cli',
          join(atlas, 'rows.parquet'),
          '--labels',
          join(atlas, 'labels.parquet'),
        ],
        ...['--x', 'map_x', '--y', 'map_y', '--text', 'text', '--disable-projection'],
        ...['--export-application', application],
      ],
      { stdio: 'pipe', timeout: 120_000 },
    );
    assert.ok(existsSync(join(application, 'index.html')));
  });

  test('is drawn by DataMapPlot', { skip: !has('datamapplot') && 'it is not installed' }, () => {
    const script = `
import numpy as np, datamapplot
z = np.load(${JSON.stringify(npz)})
layers = [z[f"names_{l}"][z[f"labels_{l}"]] for l in range(len(z.files) // 2)]
datamapplot.create_interactive_plot(z["map"], *reversed(layers)).save(${JSON.stringify(path('map.html'))})`;
    execFileSync('python3', ['-c', script], { stdio: 'pipe', timeout: 240_000 });
    assert.ok(readFileSync(path('map.html'), 'utf8').length > 10_000);
  });
});
