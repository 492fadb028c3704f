// Runs of an earlier dpmesh (test/fixtures, by the commit that wrote them) open, give the labels that they have, and go on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { byOne, dpmesh, jsonOf, scratch } from './support.ts';

const folder = scratch();
const FIXTURE = join(import.meta.dirname, '../fixtures/runs-b5ddf02e.tar.xz');
const path = (...names: string[]) => join(folder, 'runs', ...names);
before(() => void execFileSync('tar', ['xJf', FIXTURE, '-C', folder]));

/** The data of each finished run. */
const DATA = {
  mixture: 'rows.npy',
  update: 'later.npy',
  graph: 'topics.npy',
  table: 'table.csv',
  encoder: 'topics.npy',
  paper: 'rows.npy',
  shards: 'rows.npy',
} as const;
const QUIET = ['--json', '--no-report', '--no-http', '--backend', 'wasm'];
const succeeds = async (...args: (string | number)[]) => {
  const { code, stderr } = await dpmesh(args);
  assert.equal(code, 0, stderr);
};

describe('a finished run of an earlier version', () => {
  for (const [run, data] of Object.entries(DATA))
    test(`${run}: labels, cut, ONNX, page`, async () => {
      const predicted = path(`${run}-p.npy`);
      await succeeds('predict', path(run), path(data), '--out', predicted);
      if (run === 'shards') {
        assert.equal(readNpy(predicted).data.length, 300);
        return;
      }
      assert.deepEqual(readFileSync(predicted), readFileSync(path(run, 'labels.npy')));
      if (run !== 'paper') await succeeds('cut', path(run), '--clusters', 2, '--out', path(`${run}-cut.npy`));
      if (run !== 'table') await succeeds('export', path(run), '--onnx', path(`${run}.onnx`));
      await succeeds('plot', path(run), '--out', path(`${run}-report`));
    });

  for (const [run, rows] of [
    ['mixture', 'later.npy'],
    ['graph', 'topics-later.npy'],
  ])
    test(`${run}: takes new rows`, async () => {
      const out = path(`${run}-updated`);
      jsonOf(await dpmesh(['update', path(run), '--data', path(rows), '--out', out, ...byOne(QUIET)]));
      assert.equal(readNpy(join(out, 'labels.npy')).data.length, readNpy(path(rows)).shape[0]);
    });
});

test('a stopped run of an earlier version is finished, or goes on', async () => {
  const args = [
    'resume',
    path('stopped'),
    '--data',
    path('rows.npy'),
    '--max-epochs',
    370,
    '--json',
    '--no-report',
  ];
  jsonOf(await dpmesh(args));
  assert.equal(readNpy(path('stopped', 'labels.npy')).data.length, 300);
});

test('a follow of an earlier version goes on', async () => {
  const incoming = path('incoming');
  mkdirSync(incoming);
  const run = JSON.parse(readFileSync(path('follow', 'follow.json'), 'utf8')).run as string;
  const { code, stderr } = await dpmesh([
    'follow',
    run,
    '--data',
    incoming,
    '--out',
    path('follow'),
    '--once',
  ]);
  assert.equal(code, 0, stderr);
});
