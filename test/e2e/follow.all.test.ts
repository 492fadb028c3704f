// dpmesh follow: rows of files that arrive go into a run batch by batch, each once; the same bytes after a kill at any time.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy, writeNpy } from '../../data/npy.ts';
import {
  D,
  dpmesh,
  easyData,
  jsonOf,
  K,
  QUICK,
  refused,
  scratch,
  sha256,
  start,
  trainArgs,
  until,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const all = easyData(folder, 'all', 6000);
/** The cluster that is not in the first rows. */
const LATE = 5;
const numbers = [...Array(6000).keys()];
const isEarly = (i: number) => all.classes[i] !== LATE;

const rowsOf = (own: readonly number[]) =>
  Float32Array.from(own.flatMap((i) => [...all.rows.subarray(i * D, (i + 1) * D)]));
/** A file that is complete. */
function aged(file: string): string {
  const time = new Date(Date.now() - 60_000);
  utimesSync(file, time, time);
  return file;
}
function array(file: string, own: readonly number[]): string {
  writeNpy(file, '<f4', [own.length, D], rowsOf(own));
  return aged(file);
}
function table(file: string, own: readonly number[], names = ['a', 'b', 'c', 'd', 'e']): string {
  const lines = own.map((i) => all.rows.subarray(i * D, (i + 1) * D).join(','));
  writeFileSync(file, [names.join(','), ...lines, ''].join('\n'));
  return aged(file);
}
/** A folder of its own, with four parts. */
function incoming(name: string): string {
  mkdirSync(path(name));
  for (const [i, part] of ['a', 'b', 'c', 'd'].entries())
    array(join(path(name), `${part}.npy`), numbers.slice(3000 + 600 * i, 3600 + 600 * i));
  return path(name);
}

const followArgs = (run: string, data: string, ...more: (string | number)[]) => [
  ...['follow', run, '--data', data, '--workers', 2, '--json'],
  ...more,
];
const batchesOf = ({ stdout, stderr, code }: { stdout: string; stderr: string; code: number | null }) => {
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
};
const once = async (run: string, data: string, ...more: (string | number)[]) =>
  batchesOf(await dpmesh(followArgs(run, data, '--once', ...more), { timeout: 180_000 }));
const manifestOf = (at: string) => JSON.parse(readFileSync(join(at, 'follow.json'), 'utf8'));
const labelsIn = (at: string, part: string) => [...readNpy(join(at, 'labels', `${part}.npy`)).data];
/** What has to be the same. */
const stateOf = (at: string) => {
  const { updates } = manifestOf(at);
  const newest = join(at, `update-${String(updates).padStart(6, '0')}`);
  return [
    readFileSync(join(at, 'follow.json'), 'utf8'),
    ...readdirSync(join(at, 'labels')).map((name) => `${name} ${sha256(join(at, 'labels', name))}`),
    ...['labels.npy', 'lineage.json', 'stream/sample.npy', 'stream/state.ckpt'].map((name) =>
      sha256(join(newest, name)),
    ),
  ];
};

let four: string;
let undisturbed: string[];
before(async () => {
  const early = numbers.slice(0, 3000).filter(isEarly);
  jsonOf(await dpmesh(trainArgs(array(path('first.npy'), early), path('run'), ...QUICK)));
  jsonOf(await dpmesh(trainArgs(table(path('first.csv'), early), path('table'), ...QUICK)));
  four = incoming('four');
});

describe('a follow', () => {
  test('takes parts in batches, in the order of their names, and labels the rows of each', async () => {
    const [one, two, ...others] = await once(path('run'), four, '--batch-rows', 1000);
    assert.deepEqual(others, []);
    assert.deepEqual([one.parts, one.rows, one.update], [['a.npy', 'b.npy'], 1200, 1]);
    assert.deepEqual([two.parts, two.rows, two.update, two.waiting], [['c.npy', 'd.npy'], 1200, 2, 0]);
    assert.deepEqual([one.k, one.born, one.gone], [K, [5], []]);
    const at = path('run-follow');
    assert.deepEqual(readdirSync(at).sort(), [
      ...['follow.json', 'labels', 'rows-000001', 'rows-000002', 'update-000001', 'update-000002'],
    ]);
    const labels = ['a', 'b'].flatMap((part) => labelsIn(at, `${part}.npy`));
    assert.deepEqual(labels, [...readNpy(join(at, 'update-000001', 'labels.npy')).data]);
    const right = labels.filter((label, i) => (label === 5) === !isEarly(3000 + i)).length;
    assert.ok(right >= 0.99 * labels.length, `${right} of ${labels.length}`);
    // Its newest update is a run like any other.
    const out = path('predicted.npy');
    const predicted = await dpmesh(['predict', join(at, 'update-000002'), join(four, 'c.npy'), '--out', out]);
    assert.equal(predicted.code, 0, predicted.stderr);
    assert.deepEqual([...readNpy(out).data], labelsIn(at, 'c.npy'));
    undisturbed = stateOf(at);
  });

  test('does nothing where nothing has come, and keeps the last two updates', async () => {
    assert.deepEqual(await once(path('run'), four), []);
    assert.deepEqual(stateOf(path('run-follow')), undisturbed);
    renameSync(path('run-follow'), path('undisturbed'));
    await once(path('run'), four, '--batch-rows', 600);
    const kept = readdirSync(path('run-follow')).filter((name) => /-\d/.test(name));
    assert.deepEqual(kept.sort(), ['rows-000003', 'rows-000004', 'update-000003', 'update-000004']);
    assert.equal(readdirSync(join(path('run-follow'), 'labels')).length, 4);
    rmSync(path('run-follow'), { recursive: true });
  });

  const at = path('run-follow');
  for (const [when, isSo] of [
    ['its first batch is fixed', () => existsSync(join(at, 'follow.json')) && manifestOf(at).batch !== null],
    ['its first update has drawn', () => existsSync(join(at, 'update-000001', 'stream', 'drawn.ckpt'))],
    ['its first update has labels', () => existsSync(join(at, 'update-000001', 'labels.npy'))],
    ['a part has its labels', () => existsSync(join(at, 'labels', 'a.npy.npy'))],
    ['its first update is complete', () => existsSync(join(at, 'rows-000002'))],
    ['its second update has begun', () => existsSync(join(at, 'update-000002', 'run.json'))],
  ] as const)
    test(`killed once ${when}, and started again: the same bytes`, async () => {
      rmSync(at, { recursive: true, force: true });
      const running = start(followArgs(path('run'), four, '--batch-rows', 1000));
      await until(when, isSo, running);
      await running.killAll();
      await once(path('run'), four, '--batch-rows', 1000);
      assert.deepEqual(stateOf(at), undisturbed);
    });
});
