// Complete runs on the installed backends: the right clusters, and the same bytes for any number of workers.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';
import { jsonOf, scratch, spawned, startCoordinator, synth, trainArgs } from './support.ts';

const isUsable = (installed: object | null) => installed !== null && !('problem' in installed);
const dataHome = process.env.XDG_DATA_HOME;
const skipTensorflow = isUsable(findTensorflow())
  ? false
  : 'tensorflow is not set up: dpmesh setup tensorflow';
const skipWebgpu = isUsable(findWebgpu()) ? false : 'webgpu is not set up: dpmesh setup webgpu';
const folder = scratch();
// The other end-to-end tests hide the installed backends; these need them.
if (dataHome === undefined) delete process.env.XDG_DATA_HOME;
else process.env.XDG_DATA_HOME = dataHome;

const blobs = (dim: number) => synth(folder, `blobs-${dim}`, { clusters: 5, points: 1500, dim, seed: 3 });

async function same(backend: string, dim: number, flags: string[], counts: number[]): Promise<void> {
  const { data, labels } = await blobs(dim);
  const results: Buffer[] = [];
  for (const workers of counts) {
    const out = join(folder, `${backend}-${workers}`);
    const args = ['--labels', labels, '--force', '--workers', workers, '--backend', backend, ...flags];
    const run = await spawned(trainArgs(data, out, ...args));
    const summary = jsonOf(run);
    if (!flags.length) assert.ok(summary.nmi > 0.8, `NMI ${summary.nmi}, K ${summary.k}`);
    const about = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
    assert.match(about.identity, new RegExp(`^${backend}/`));
    assert.deepEqual(about.backend, { name: backend, why: 'asked for', mixed: false });
    assert.doesNotMatch(run.stderr, /absl|oneDNN/);
    results.push(readFileSync(join(out, 'labels.npy')));
  }
  for (const bytes of results) assert.ok(bytes.equals(results[0]));
}

// Products that are small enough for the WASM kernels, and those of a wide net, for TensorFlow itself.
for (const dim of [3, 40])
  test(`tensorflow, D ${dim}: the same bytes with 1 and 3 workers`, { skip: skipTensorflow }, () =>
    same('tensorflow', dim, dim > 3 ? ['--max-epochs', '2', '--hidden', '512,512'] : [], [1, 3]),
  );

/** A data folder with a TensorFlow installation that is complete by its file sizes but does not load. */
function broken(version: string): string {
  const home = join(folder, 'broken');
  const dir = join(home, 'dpmesh/tensorflow');
  const binding = 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node';
  mkdirSync(join(dir, binding, '..'), { recursive: true });
  writeFileSync(join(dir, binding), 'no library');
  const manifest = { dir, version, cuda: false, files: { [binding]: 10 } };
  writeFileSync(join(home, 'dpmesh/tensorflow.json'), JSON.stringify(manifest));
  return home;
}
const UNLOADED = /TensorFlow in .* does not load \(.*\); run: dpmesh setup tensorflow/;

test('an installed TensorFlow that does not load: exit 2 and advice', async () => {
  const env = { XDG_DATA_HOME: broken('2.21.0') };
  const { data } = await blobs(40);
  // TensorFlow is loaded for products that are large, as in a wide net.
  const flags = ['--workers', '2', '--backend', 'tensorflow', '--hidden', '512,512'];
  const run = await spawned(['train', '--data', data, '--out', join(folder, 'unloaded'), ...flags], { env });
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, UNLOADED);
  assert.doesNotMatch(run.stderr, /at .*\.[jt]s:/);
});

test('if it does not load on one of two hosts, that worker leaves and the run continues', {
  skip: skipTensorflow,
}, async () => {
  const installed = findTensorflow() as { version: string };
  const { data } = await blobs(40);
  const out = join(folder, 'half');
  const flags = ['--max-epochs', '1', '--no-report', '--no-http', '--hidden', '512,512'];
  const { running: run, address } = await startCoordinator(data, out, ...flags);
  const worker = (env: Record<string, string> = {}) =>
    spawned(['worker', '--connect', address, '--backend', 'tensorflow', '--data-root', folder], { env });
  const bad = await worker({ XDG_DATA_HOME: broken(installed.version) });
  assert.equal(bad.code, 2, bad.stderr);
  assert.match(bad.stderr, UNLOADED);
  const good = await worker();
  assert.equal(good.code, 0, good.stderr);
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, stderr);
});

test('webgpu: the same bytes with 1 and 3 workers', { skip: skipWebgpu }, () =>
  same('webgpu', 3, ['--max-epochs', '3', '--sample', '600'], [1, 3]),
);

test('software Vulkan does not count as a GPU', { skip: skipWebgpu }, async () => {
  const { data } = await blobs(3);
  const flags = ['--backend', 'webgpu', '--require-gpu', '--out', join(folder, 'none')];
  const run = await spawned(['train', '--data', data, ...flags]);
  if (run.code === 0) return; // This machine has one.
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /--require-gpu: webgpu\/.* computes on the CPU/);
});
