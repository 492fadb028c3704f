// Complete runs on the other backends: the labels of `wasm` (test/recipes has those), and the same bytes for any number of workers.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OptionValues } from '../../run/config.ts';
import { findTensorflow, findWebgpu } from '../../worker/compute/installed.ts';
import { hashOf, knownHashes } from '../golden/golden.ts';
import { type How, trained } from '../recipes/here.ts';
import { RECIPES, SHARDS } from '../recipes/recipes.ts';
import { runFileOf, scratch, spawned, startCoordinator, synth } from './support.ts';

const skipOf = (name: string, installed: object | null) =>
  installed && !('problem' in installed) ? false : `${name} is not set up: dpmesh setup ${name}`;
const dataHome = process.env.XDG_DATA_HOME;
const skips = {
  cpu: false as const,
  tensorflow: skipOf('tensorflow', findTensorflow()),
  webgpu: skipOf('webgpu', findWebgpu()),
};
const folder = scratch();
// The other end-to-end tests hide the installed backends; these need them.
if (dataHome === undefined) delete process.env.XDG_DATA_HOME;
else process.env.XDG_DATA_HOME = dataHome;

const blobs = (dim: number) => synth(folder, `blobs-${dim}`, { clusters: 5, points: 1500, dim, seed: 3 });

const plain = async (out: string, values: OptionValues, how: How) => {
  const { options, data } = RECIPES.plain;
  const { data: rows } = await data(folder);
  return trained({ shards: SHARDS, ...options, ...values, data: rows }, join(folder, out), how);
};

for (const backend of ['cpu', 'tensorflow'] as const)
  test(`${backend}: three workers, one of which dies, give the labels that one gave`, {
    skip: skips[backend],
  }, async (context) => {
    const ended = await plain(backend, {}, { backend, workers: 3, deathAfter: 1 });
    assert.equal(ended.deaths, 1);
    const { identity, hash } = hashOf(ended);
    assert.match(identity, new RegExp(`^${backend}/`));
    const before = knownHashes()[identity]?.plain;
    if (!before) return context.skip(`no hashes are known for ${identity}`);
    assert.equal(hash, before);
  });

// Until its first split: on a CPU an epoch takes almost a second.
test('webgpu: three workers, one of which dies, give the labels of wasm', {
  skip: skips.webgpu,
}, async () => {
  const values = { maxEpochs: 7 };
  const ended = await plain('webgpu', values, { backend: 'webgpu', workers: 3, deathAfter: 1 });
  assert.equal(ended.deaths, 1);
  assert.equal(ended.summary.k, 2);
  assert.match(hashOf(ended).identity, /^webgpu\//);
  assert.equal(hashOf(ended).hash, hashOf(await plain('wasm', values, {})).hash);
});

// Products of a wide net, for TensorFlow itself.
test('tensorflow: a wide net has the same bytes with 1 and 3 workers', {
  skip: skips.tensorflow,
}, async () => {
  const { data } = await blobs(40);
  const labels: Buffer[] = [];
  for (const workers of [1, 3]) {
    const out = join(folder, `wide-${workers}`);
    await trained({ data, maxEpochs: 2, hidden: [512, 512] }, out, { backend: 'tensorflow', workers });
    labels.push(readFileSync(join(out, 'labels.npy')));
  }
  assert.deepEqual(labels[1], labels[0]);
});

test('tensorflow: a process of its own says nothing of what it loads', {
  skip: skips.tensorflow,
}, async () => {
  const { data } = await blobs(40);
  const out = join(folder, 'quiet');
  const flags = ['--max-epochs', '1', '--hidden', '512,512', '--workers', '1', '--no-report', '--no-http'];
  const run = await spawned(['train', '--data', data, '--out', out, '--backend', 'tensorflow', ...flags]);
  assert.equal(run.code, 0, run.stderr);
  assert.doesNotMatch(run.stderr, /absl|oneDNN/);
  assert.deepEqual(runFileOf(out).backend, { name: 'tensorflow', why: 'asked for', mixed: false });
});

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
  const flags = ['--workers', '1', '--backend', 'tensorflow', '--hidden', '512,512'];
  const run = await spawned(['train', '--data', data, '--out', join(folder, 'unloaded'), ...flags], { env });
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, UNLOADED);
  assert.doesNotMatch(run.stderr, /at .*\.[jt]s:/);
});

test('if it does not load on one of two hosts, that worker leaves and the run continues', {
  skip: skips.tensorflow,
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
  assert.doesNotMatch(good.stderr, /absl|oneDNN/);
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, stderr);
});

test('software Vulkan does not count as a GPU', { skip: skips.webgpu }, async () => {
  const { data } = await blobs(3);
  const flags = ['--backend', 'webgpu', '--require-gpu', '--out', join(folder, 'none')];
  const run = await spawned(['train', '--data', data, ...flags]);
  if (run.code === 0) return; // This machine has one.
  assert.equal(run.code, 2, run.stderr);
  assert.match(run.stderr, /--require-gpu: webgpu\/.* computes on the CPU/);
});
