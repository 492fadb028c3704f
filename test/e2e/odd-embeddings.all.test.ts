// Odd rows of many columns, and few: what is valid works and says what it saw, what is not is refused.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { generator } from '../../model/random.ts';
import { elements, npyFile } from '../data/files.ts';
import {
  dpmesh,
  embeddedData,
  jsonOf,
  K,
  labelsOf,
  MANY,
  type ProcessResult,
  scratch,
  start,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const { normal } = generator(5n, 'odd embeddings');
const train = (data: string, name: string, ...flags: (string | number)[]) =>
  dpmesh(trainArgs(data, path(name), '--workers', 2, '--no-http', '--split-merge-every', 3, ...flags));
function put(name: string, dim: number, rows: readonly (readonly number[] | Float32Array)[]): string {
  writeNpy(
    path(`${name}.npy`),
    '<f4',
    [rows.length, dim],
    rows.flatMap((row) => [...row]),
  );
  return path(`${name}.npy`);
}
const noise = (dim: number, sd: (column: number) => number = () => 1) =>
  Array.from({ length: dim }, (_, column) => sd(column) * normal());
const times = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));

/** Exit 2 and one line, without a stack trace. */
function refused({ code, stdout, stderr }: ProcessResult, ...says: string[]): void {
  assert.equal(code, 2, stderr || stdout);
  assert.match(stderr, /^dpmesh: [^\n]+\n$/);
  for (const part of says) assert.ok(stderr.includes(part), `"${stderr}" lacks ${part}`);
}

describe('few rows of many columns', { concurrency: 2 }, () => {
  test('noise has no axes and one cluster', async () => {
    for (const [rows, dim] of [
      [20, 300],
      [50, 384],
    ]) {
      const name = `noise-${rows}`;
      const { stderr, ...ended } = await train(
        put(
          name,
          dim,
          times(rows, () => noise(dim)),
        ),
        name,
      );
      const { k, notes } = jsonOf({ stderr, ...ended });
      assert.equal(k, 1);
      assert.match(stderr, /^graph likelihood: no small number of directions of the \d+ columns/m);
      assert.match(
        notes[0],
        new RegExp(`^K is 1 in ${rows} rows, few for a graph of nearest neighbours; bring more rows$`),
      );
    }
  });

  test('clusters that stand out are found', async () => {
    const centres = times(3, () => noise(384, () => 2));
    const rows = times(50, (i) => noise(384).map((value, j) => value + centres[i % 3][j]));
    const ended = await train(put('three', 384, rows), 'three');
    assert.equal(jsonOf(ended).k, 3, ended.stderr);
    assert.match(
      ended.stderr,
      /^Gaussian likelihood: only 2 directions of the 384 columns stand out from noise$/m,
    );
  });

  test('two rows', async () => {
    const ended = await train(
      put(
        'two',
        100,
        times(2, () => noise(100)),
      ),
      'two',
    );
    assert.equal(jsonOf(ended).rows, 2);
  });

  test('parts of single rows are no clusters, though all samples agree on them', async () => {
    for (const seed of [1, 3]) {
      const own = generator(BigInt(seed), 'odd embeddings');
      const data = put(
        `singles-${seed}`,
        60,
        times(28, () => times(60, own.normal)),
      );
      const { k, stability } = jsonOf(await train(data, `singles-${seed}`, '--likelihood', 'graph'));
      assert.deepEqual([k, stability], [1, null]);
    }
  });
});

describe('copies', { concurrency: 2 }, () => {
  const data = embeddedData(folder, 'embedded', 1200);
  const rowsOf = (change: (row: Float32Array, i: number) => ArrayLike<number>) =>
    times(1200, (i) => Float32Array.from(change(data.rows.subarray(i * MANY, (i + 1) * MANY), i)));
  const isZero = (i: number) => (i * 7919) % 10 < 5;

  test('rows of zeros, half of all, are a cluster, and said', async () => {
    const zeros = new Float32Array(MANY);
    const ended = await train(
      put(
        'zeros',
        MANY,
        rowsOf((row, i) => (isZero(i) ? zeros : row)),
      ),
      'zeros',
    );
    assert.equal(jsonOf(ended).k, K + 1, ended.stderr);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: .*zeros\.npy: 600 of the 1,200 rows in the sample are the same as another one, as rows of zeros are/m,
    );
    const labels = labelsOf(path('zeros')).data;
    assert.equal(new Set(times(1200, (i) => i).flatMap((i) => (isZero(i) ? labels[i] : []))).size, 1);
  });

  test('by the thousand of three rows, all nearest rows copies', async () => {
    const three = times(3, () => noise(64));
    const rows = times(2500, (i) => (i % 5 ? three[i % 3] : noise(64, (j) => (j + 1) ** -0.3)));
    const ended = await train(put('three-rows', 64, rows), 'three-rows', '--likelihood', 'graph');
    const { k } = jsonOf(ended);
    assert.ok(k >= 4, `K ${k}`);
    const labels = labelsOf(path('three-rows')).data;
    for (const copied of times(3, (c) => c))
      assert.equal(new Set(rows.flatMap((row, i) => (row === three[copied] ? labels[i] : []))).size, 1);
    assert.match(ended.stderr, /warning: .* 2,000 of the 2,500 rows in the sample are the same/);
  });

  test('a few are not worth a warning', async () => {
    const ended = await train(
      put(
        'a-few',
        MANY,
        rowsOf((row, i) => (i < 60 ? data.rows.subarray(0, MANY) : row)),
      ),
      'a-few',
    );
    jsonOf(ended);
    assert.doesNotMatch(ended.stderr, /the same as another/);
  });

  test('float16 up to its largest number, and down to its smallest', async () => {
    const half = (value: number) => {
      const [sign, size] = [value < 0 ? 0x8000 : 0, Math.abs(value)];
      const exponent = Math.max(-14, Math.floor(Math.log2(size)));
      // A carry goes into the exponent, as it should.
      return sign + ((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1024);
    };
    const most = data.rows.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const values = Array.from(data.rows, (value) => half((value / most) * 65504));
    writeFileSync(path('half.npy'), npyFile('<f2', [1200, MANY], elements('u2', values)));
    assert.equal(Math.max(...readNpy(path('half.npy')).data.map(Math.abs)), 65504);
    const { k, ari } = jsonOf(await train(path('half.npy'), 'half', '--labels', data.labels));
    assert.deepEqual([k, ari], [K, 1]);
  });

  test('one column of 500 that varies', async () => {
    const rows = times(400, (i) => times(500, (j) => (j === 17 ? 8 * (i % 2) + normal() : 3)));
    const ended = await train(put('one', 500, rows), 'one');
    assert.equal(jsonOf(ended).k, 2);
    assert.match(ended.stderr, /warning: .*dropped 499 constant columns/);
    assert.match(ended.stderr, /^Gaussian likelihood: only 1 of the 500 columns varies$/m);
  });
});

describe('a likelihood that does not suit the columns', { concurrency: 2 }, () => {
  test('graph of one column, or two, works and is warned of', async () => {
    for (const dim of [1, 2]) {
      const rows = times(200, (i) => noise(dim).map((value) => value + 20 * (i % 3)));
      const data = put(`low-${dim}`, dim, rows);
      const ended = await train(data, `low-${dim}`, '--likelihood', 'graph');
      assert.ok(jsonOf(ended).k >= 1);
      const warning = new RegExp(
        `^dpmesh: warning: the graph likelihood is for rows of many columns: in ${dim} .*--likelihood gaussian`,
        'm',
      );
      assert.match(ended.stderr, warning);
      assert.doesNotMatch((await train(data, `auto-${dim}`)).stderr, /warning/);
    }
  });

  test('full covariance of 1,536 columns: its cost is said before anything else', async () => {
    const data = put(
      'wide',
      1536,
      times(40, () => noise(1536)),
    );
    const running = start(
      trainArgs(data, path('wide'), '--workers', 1, '--no-http', '--likelihood', 'gaussian'),
    );
    await until('the warning', () => running.stderr().includes('\n'), running);
    running.kill('SIGINT');
    const { stderr } = await running.ended;
    assert.match(
      stderr,
      /^dpmesh: warning: .*wide\.npy: full covariance in 1,536 columns is 1,181,952 parameters for each cluster \(9\.5 MB .* of a core .* min for 10 clusters .*leave out --likelihood gaussian/,
    );
  });
});

describe('cuts and new rows of a run on many columns', { concurrency: 2 }, () => {
  const data = embeddedData(folder, 'cut', 600);
  const run = path('run');
  const out = path('never.npy');
  before(async () => {
    assert.equal(jsonOf(await train(data.data, 'run')).k, K);
  });

  test('at no whole number of clusters, or at more than there are', async () => {
    const more = ['--run', run, '--data', data.data, '--out', out];
    for (const clusters of ['0', '-1', '1.5', 'abc', 'NaN', 'Infinity', '3,4', '']) {
      refused(await dpmesh(['cut', '--run', run, `--clusters=${clusters}`, '--out', out]), '--clusters');
      refused(await dpmesh(['predict', ...more, `--clusters=${clusters}`]), '--clusters');
    }
    const above = `--clusters ${K + 1}`;
    refused(await dpmesh(['cut', '--run', run, '--clusters', K + 1, '--out', out]), above, `K = ${K}`);
    refused(await dpmesh(['predict', ...more, '--clusters', K + 1]), above, `K = ${K}`);
    assert.ok(!existsSync(out));
  });

  test('by a tree that is damaged, whether or not run.json has its hash', async () => {
    type Tree = { joins: { b: number }[] };
    const damages: ((tree: Tree) => void)[] = [
      (tree) => Object.assign(tree, { clusters: K + 1 }),
      ({ joins }) => Object.assign(joins[0], { a: joins[0].b }),
    ];
    const [tree, file] = ['tree.json', 'run.json'].map((name) => readFileSync(join(run, name), 'utf8'));
    const torn = path('torn');
    cpSync(run, torn, { recursive: true });
    const { 'tree.json': _, ...hashes } = JSON.parse(file).files;
    const withoutHash = JSON.stringify({ ...JSON.parse(file), files: hashes });
    const texts = damages.map((damage) => {
      const changed = JSON.parse(tree);
      damage(changed);
      return JSON.stringify(changed);
    });
    for (const text of ['null', tree.slice(0, -30), ...texts])
      for (const about of [file, withoutHash]) {
        writeFileSync(join(torn, 'run.json'), about);
        writeFileSync(join(torn, 'tree.json'), text);
        refused(
          await dpmesh(['cut', '--run', torn, '--clusters', 2, '--out', out]),
          'tree.json is damaged',
          'restore it',
        );
      }
    rmSync(join(torn, 'tree.json'));
    writeFileSync(join(torn, 'run.json'), file);
    refused(await dpmesh(['cut', '--run', torn, '--clusters', 2]), 'tree.json is damaged (it is missing)');
    assert.ok(!existsSync(out));
  });

  test('of other columns, of no rows, of what cannot be computed with; of one row, and rows of zeros', async () => {
    const labels = path('labels.npy');
    const predict = (rows: string, ...more: string[]) =>
      dpmesh(['predict', '--run', run, '--data', rows, '--out', labels, ...more]);
    refused(
      await predict(
        put(
          '39',
          39,
          times(5, () => noise(39)),
        ),
      ),
      '39 columns',
      `trained on ${MANY}`,
    );
    writeFileSync(path('none.npy'), npyFile('<f4', [0, MANY], elements('f4', [])));
    refused(await predict(path('none.npy')), 'none.npy has no rows');
    for (const [value, says] of [
      [Number.NaN, 'remove the row or fill'],
      [-Infinity, 'remove the row or fill'],
      [1e30, 'maximum (1e18); remove'],
    ] as const) {
      const rows = times(9, (i) => noise(MANY).map((own, j) => (i === 6 && j === 31 ? value : own)));
      refused(await predict(put('odd', MANY, rows)), 'odd.npy', 'row 6, column 31', says);
    }
    assert.ok(!existsSync(labels));
    for (const rows of [[noise(MANY)], times(3, () => new Float32Array(MANY))]) {
      assert.equal((await predict(put('fine', MANY, rows), '--force', '--clusters', '2')).code, 0);
      assert.equal(readNpy(labels).data.length, rows.length);
    }
  });
});
