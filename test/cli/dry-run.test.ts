import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { called } from '../e2e/in-process.ts';
import { D, dpmesh, easyData, jsonOf, scratch } from '../e2e/support.ts';

const folder = scratch();
const cwd = join(folder, 'empty');
mkdirSync(cwd);
const dryRun = (...args: (string | number)[]) => called(['train', ...args, '--dry-run'], cwd);

describe('train --dry-run', () => {
  const { data, labels } = easyData(folder, 'easy', 3000);

  test('says what would be read and done, and writes nothing', async () => {
    const how = '--workers 2 --sample 500 --backend wasm --transform pca:0.9';
    const flags = ['--labels', labels, ...how.split(' ')];
    const plan = jsonOf(await dryRun(data, ...flags, '--json'));
    const { rows, columns, type, transform, likelihood, shards, workers, backend, out } = plan;
    assert.deepEqual(
      { rows, columns, type, transform, likelihood, shards, workers, backend: backend.name, out },
      {
        ...{ rows: 3000, columns: D, type: 'float32', transform: 'pca:0.9', likelihood: 'gaussian' },
        ...{ shards: 4, workers: 2, backend: 'wasm', out: join('runs', 'easy') },
      },
    );
    assert.ok(Math.abs(plan.sample - 500) < 100 && plan.labels.classes > 1);
    assert.ok(plan.memory.worker > 5e7 && plan.memory.worker < 1e9);
    assert.ok(plan.memory.coordinator > 5e7 && plan.memory.coordinator < 1e9);
    assert.deepEqual(readdirSync(cwd), []);
    // As the run itself trains on.
    const once = ['--json', '--no-report', '--max-epochs', 1, '--out', join(folder, 'run')];
    const trained = await dpmesh(['train', data, ...flags, ...once]);
    assert.equal(jsonOf(trained).rows, 3000);
    assert.match(trained.stderr, new RegExp(`training on a sample of ${plan.sample}\\)`));
  });

  test('names the columns of a table, and the one that is left out', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 7},${i % 5}.5,${i % 2 ? 'cat' : 'dog'}`);
    const table = join(folder, 'table.csv');
    writeFileSync(table, `age,income,kind\n${rows.join('\n')}\n`);
    const { code, stdout, stderr } = await dryRun(table, '--labels', `${table}:kind`);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^rows × columns {2}40 × 2, csv: age, income$/m);
    assert.match(stdout, /^labels .*, 2 classes; column kind is left out of the rows$/m);
    assert.match(stdout, /^transform +auto: standard$/m);
    assert.match(stdout, /^results +runs\/table \(a dry run: nothing was written\)$/m);
    assert.deepEqual(readdirSync(cwd), []);
  });

  test('names what is kept beside the rows, what is not used, and a list once', async () => {
    const parts = join(folder, 'parts');
    mkdirSync(parts);
    const line = (i: number) =>
      JSON.stringify({ id: i, text: `so ${i}`, e: [i % 7, i % 5, i / 2], day: i, x: 1 });
    for (const part of [0, 20])
      writeFileSync(
        join(parts, `${part}.jsonl`),
        Array.from({ length: 20 }, (_, i) => line(part + i)).join('\n'),
      );
    const { code, stdout, stderr } = await dryRun(parts, '--columns', 'e', '--id', 'id', '--text', 'text');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^data .*parts, 2 files$/m);
    assert.match(stdout, /^rows × columns {2}40 × 3, json lines: e\[1\] … e\[3\]$/m);
    assert.match(stdout, /^names of rows +column id$/m);
    assert.match(stdout, /^texts of rows +column text of .*parts$/m);
    assert.match(stdout, /^not used +2 columns: day, x$/m);
  });

  test('fails as the run would', async () => {
    for (const [args, says] of [
      [['nowhere.npy'], /^dpmesh: nowhere\.npy cannot be read: no such file/],
      [[data, '--shards', 5000], /^dpmesh: .* fewer than --shards 5000/],
      [[data, '--out', folder], /^dpmesh: --out /],
      [[data, '--gpus', 'all', '--workers', 2], /^dpmesh: --gpus and --workers exclude each other/],
    ] as const) {
      const { code, stderr } = await dryRun(...args);
      assert.equal(code, 2);
      assert.match(stderr, says);
      assert.equal(stderr.split('\n').length, 2);
    }
  });
});
