// A run of another format is refused by every command that opens one, in one line, and stays as it is.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { FORMAT } from '../../run/finished-run.ts';
import { fitted } from '../fitted.ts';
import { dpmesh, easyData, scratch } from './support.ts';

const folder = scratch();
const run = join(folder, 'run');
const { data } = easyData(folder, 'easy', 90);
const file = join(run, 'run.json');

describe('a run of another format', () => {
  before(async () => {
    await fitted('gaussian', run);
    const saved = JSON.parse(readFileSync(file, 'utf8'));
    assert.equal(saved.format, FORMAT);
    writeFileSync(file, JSON.stringify({ ...saved, format: undefined, result: { of: 'another shape' } }));
  });
  const commands = {
    resume: [run],
    finish: [run],
    predict: [run, data, '--out', join(folder, 'labels.npy')],
    cut: [run, '--clusters', '2'],
    rename: [run, '0', 'name'],
    name: [run, '--text', 'a'],
    plot: [run],
    export: [run, '--onnx', join(folder, 'x.onnx')],
    evaluate: ['--pred', join(run, 'labels.npy'), '--labels', join(run, 'labels.npy')],
    update: [run, '--data', data],
    follow: [run, '--data', folder],
    serve: [run],
    view: [run],
  };
  for (const [command, args] of Object.entries(commands))
    test(command, async () => {
      const before = readFileSync(file);
      const { code, stderr } = await dpmesh([command, ...args]);
      assert.equal(code, 2, stderr);
      assert.match(
        stderr.trim().split('\n').at(-1)!,
        new RegExp(
          `run\\.json has format 1, this dpmesh reads format ${FORMAT}: use the version that wrote it`,
        ),
      );
      assert.deepEqual(readFileSync(file), before);
    });
});
