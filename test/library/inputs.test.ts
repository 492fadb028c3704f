import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { openSource } from '../../data/open.ts';
import { evaluate, openRun, predict, resume, synth, train } from '../../index.ts';
import { assertOptions, fixedPaths, type OptionKinds } from '../../library/arguments.ts';
import { sourceOf } from '../../library/inputs.ts';
import { labelsOf } from '../../library/label-data.ts';
import { withFiles } from '../../library/temporary-files.ts';
import { readLabels } from '../../run/labels.ts';

const rows = { values: Float32Array.from([1, 2, 3, 4, 5, 6]), columns: 3 };

describe('rows in memory', () => {
  test('give the same source as a file of these rows', async () => {
    for (const values of [rows.values, Float64Array.from(rows.values)]) {
      const source = sourceOf({ values, columns: 3 });
      await withFiles({ data: { values, columns: 3 } }, async ({ data }) => {
        const file = await openSource(data);
        assert.deepEqual([source.rows, source.dim, source.dtype], [file.rows, file.dim, file.dtype]);
        assert.deepEqual(await source.read(1, 1), await file.read(1, 1));
        assert.deepEqual(await source.stored(0), await file.stored(0));
        file.close();
      });
    }
  });

  test('are not changed when a reader changes what it read', async () => {
    const read = await sourceOf(rows).read(0, 2);
    read.fill(0);
    assert.equal(rows.values[0], 1);
  });

  for (const [name, data, message] of [
    ['columns that do not fit', { ...rows, columns: 4 }, /6 values are not a whole number of rows/],
    ['none', { values: new Float32Array(0), columns: 3 }, /^data has no rows$/],
    ['no columns', { values: new Float32Array(3), columns: 0 }, /columns 0 must be a whole number/],
    ['a plain array', { values: [1, 2, 3], columns: 3 }, /Float32Array or Float64Array/],
    ['nothing', undefined, /data is missing|Float32Array or Float64Array/],
  ] as const)
    test(`${name}: a UserError`, async () => {
      const call = withFiles({ data: data as never }, async () => assert.fail());
      await assert.rejects(call, { name: 'UserError', message });
    });
});

describe('temporary files', () => {
  test('exist while the work runs, and are removed after it, even if it fails', async () => {
    const paths: string[] = [];
    const inputs = { data: rows, labels: [3, 5] };
    await withFiles(inputs, async ({ data, labels }) => {
      paths.push(data, labels!);
      assert.deepEqual((await readLabels(labels!)).names, ['3', '5']);
    });
    await assert.rejects(
      withFiles(inputs, async ({ data }) => {
        paths.push(data);
        throw new Error('failed');
      }),
      { message: 'failed' },
    );
    assert.equal(paths.length, 3);
    for (const path of paths) assert.ok(!existsSync(path), path);
  });

  test('are not named in error messages', async () => {
    await assert.rejects(
      withFiles({ data: rows, labels: [0, 1] }, async ({ data, labels }) => {
        throw new UserError(`${data} has 2 rows, --labels ${labels} has 3`);
      }),
      { name: 'UserError', message: 'data has 2 rows, --labels labels has 3' },
    );
  });

  test('paths are passed on as absolute ones', async () => {
    await withFiles({ data: 'x.npy', labels: 'y.csv:class' }, async ({ data, labels, inMemory }) => {
      assert.equal(inMemory, false);
      assert.deepEqual([data, labels], [resolve('x.npy'), resolve('y.csv:class')]);
    });
  });
});

describe('labels in memory', () => {
  test('are coded by rank', async () => {
    const { codes, names } = await labelsOf([7, -1, 7, 2], 'pred');
    assert.deepEqual([...codes], [2, 0, 2, 1]);
    assert.deepEqual(names, ['-1', '2', '7']);
  });

  test('a label that is not a whole number is a UserError that says where', async () => {
    for (const label of [1.5, Number.NaN, 2 ** 40, '3'])
      await assert.rejects(labelsOf([0, label as number], 'pred'), {
        name: 'UserError',
        message: /^pred: label 1, .* is not a 32-bit whole number$/,
      });
    await assert.rejects(labelsOf([], 'pred'), { name: 'UserError' });
  });
});

test('paths are absolute, and in messages what was given', async () => {
  const { fix, asGiven, naming } = fixedPaths();
  const data = fix('x.npy');
  const out = fix('./runs/x/');
  assert.deepEqual([data, out], [resolve('x.npy'), resolve('runs/x')]);
  assert.deepEqual([fix(undefined), fix(null), fix('/a/b')], [undefined, null, '/a/b']);
  assert.equal(
    asGiven(`${data} is not ${out}; see ${join(out, 'run.json')} (${out})`),
    'x.npy is not ./runs/x; see ./runs/x/run.json (./runs/x)',
  );
  assert.equal(asGiven(`/b${data} and ${data}`), `/b${data} and x.npy`, 'not inside another path');
  const failing = (error: Error) => naming(() => Promise.reject(error));
  await assert.rejects(failing(new UserError(`${data}: no`)), new UserError('x.npy: no'));
  const full = new UserError(`${data}: no space`, { exitCode: 75 });
  await assert.rejects(failing(full), { message: 'x.npy: no space', exitCode: 75 });
  const other = new Error(`${data}: a bug`);
  await assert.rejects(failing(other), (error) => error === other);
});

interface Options {
  out?: string;
  force?: boolean;
  http?: boolean | string;
  signal?: AbortSignal;
}
const KINDS: OptionKinds<Options> = {
  out: 'string',
  force: 'boolean',
  http: ['boolean', 'string'],
  signal: 'signal',
};
const check = (options: object) => assertOptions('train', options as Options, KINDS);

test('values of the right types pass, and undefined stands for what is left out', () => {
  check({ out: 'x', force: false, http: '127.0.0.1:0', signal: AbortSignal.abort() });
  check({ out: undefined, http: true });
});

for (const [name, options, message] of [
  ['text for a boolean', { force: 'no' }, 'train: force must be true or false'],
  ['two types allowed', { http: 80 }, 'train: http must be true or false or a string'],
  ['null', { out: null }, 'train: out must be a string'],
  ['a controller for its signal', { signal: new AbortController() }, 'train: signal must be an AbortSignal'],
  ['a misspelt name', { forse: true }, 'train has no option forse; did you mean force?'],
  ['a name like no other', { nJobs: 2 }, 'train has no option nJobs'],
  ['text for the options', 'x.npy', 'train expects an object of options'],
] as const)
  test(`${name}: a UserError`, () => {
    assert.throws(() => check(options as object), { name: 'UserError', message });
  });

test('every public function names what it lacks', async () => {
  for (const [call, message] of [
    [() => train({} as never), 'train needs the option data'],
    [() => train(null as never), 'train expects an object of options'],
    [() => resume({} as never), 'resume needs the option run'],
    [() => predict({ run: 'x' } as never), 'predict needs the option data'],
    [() => evaluate({} as never), 'evaluate needs the option pred'],
    [() => synth(null as never), 'synth expects an object of options'],
    [() => openRun(undefined as never), 'openRun needs the path of a run directory'],
    [
      () => synth({ points: 2 ** 39 }),
      `synth: ${2 ** 39} × 2 numbers do not fit in memory; set out and labels`,
    ],
  ] as const)
    await assert.rejects(async () => call(), { name: 'UserError', message });
});
