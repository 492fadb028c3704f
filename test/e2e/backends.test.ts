// Whole runs on the backends that are set up: clusters found, and the same bytes for any number of workers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTensorflow, findWebgpu } from '../../worker/setup/found.ts';

const set = (found: object | null) => found !== null && !('problem' in found);
const dataHome = process.env.XDG_DATA_HOME;
const skipTensorflow = set(findTensorflow()) ? false : 'tensorflow is not set up: dpmesh setup tensorflow';
const skipWebgpu = set(findWebgpu()) ? false : 'webgpu is not set up: dpmesh setup webgpu';
const { dpmesh, scratch } = await import('./support.ts');
const folder = scratch();
// The other end-to-end tests must not see what is set up; these must.
if (dataHome === undefined) delete process.env.XDG_DATA_HOME;
else process.env.XDG_DATA_HOME = dataHome;

const blobs = join(folder, 'blobs.npy');
const labels = join(folder, 'labels.npy');

async function same(backend: string, flags: string[], counts: number[]): Promise<void> {
  const made = await dpmesh([
    'synth',
    '--out',
    blobs,
    '--labels',
    labels,
    '--clusters',
    '5',
    '--points',
    '4000',
    '--dim',
    '3',
    '--seed',
    '3',
    '--force',
  ]);
  assert.equal(made.code, 0, made.stderr);
  const results: Buffer[] = [];
  for (const workers of counts) {
    const out = join(folder, `${backend}-${workers}`);
    const args = [
      '--data',
      blobs,
      '--labels',
      labels,
      '--out',
      out,
      '--workers',
      String(workers),
      '--json',
      '--force',
    ];
    const run = await dpmesh(['train', ...args, '--backend', backend, ...flags]);
    assert.equal(run.code, 0, run.stderr);
    const summary = JSON.parse(run.stdout);
    if (!flags.length) assert.ok(summary.nmi > 0.8, `NMI ${summary.nmi}, K ${summary.k}`);
    const about = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
    assert.match(about.identity, new RegExp(`^${backend}/`));
    assert.deepEqual(about.backend, { name: backend, why: 'asked for', mixed: false });
    assert.doesNotMatch(run.stderr, /absl|oneDNN/);
    results.push(readFileSync(join(out, 'labels.npy')));
  }
  for (const bytes of results) assert.ok(bytes.equals(results[0]));
}

test('tensorflow: the same bytes with 1, 2 and 3 workers', { skip: skipTensorflow }, () =>
  same('tensorflow', [], [1, 2, 3]),
);

test('webgpu: the same bytes with 1, 2 and 3 workers', { skip: skipWebgpu }, () =>
  same('webgpu', ['--max-epochs', '3', '--sample', '600'], [1, 2, 3]),
);

test('software Vulkan is no GPU', { skip: skipWebgpu }, async () => {
  const run = await dpmesh([
    'train',
    '--data',
    blobs,
    '--backend',
    'webgpu',
    '--require-gpu',
    '--out',
    join(folder, 'none'),
  ]);
  if (run.code === 0) return; // This machine has one.
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /--require-gpu: webgpu\/.* computes on the CPU/);
});
