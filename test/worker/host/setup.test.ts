import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { UserError } from '../../../base/user-error.ts';
import { OutOfDeviceMemory } from '../../../worker/compute/backends/backend.ts';
import { chooseBackend } from '../../../worker/compute/backends/load.ts';
import { explained } from '../../../worker/compute/backends/tf-binding.ts';
import { findTensorflow, findWebgpu, manifestPath } from '../../../worker/compute/installed.ts';
import { runProgram } from '../../../worker/host/setup/programs.ts';
import {
  assertDiskSpace,
  install,
  makeStagingFolder,
  removeSetup,
  setupFolder,
  writeManifest,
} from '../../../worker/host/setup/setup-folder.ts';
import { setupTensorflow } from '../../../worker/host/setup/tensorflow.ts';
import { setupWebgpu } from '../../../worker/host/setup/webgpu.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-setup-'));
after(() => rmSync(home, { recursive: true, force: true }));
delete process.env.DPMESH_TFJS;
beforeEach(() => {
  process.env.XDG_DATA_HOME = mkdtempSync(join(home, 'data-'));
});

async function withPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  const { PATH } = process.env;
  process.env.PATH = path;
  try {
    return await work();
  } finally {
    process.env.PATH = PATH;
  }
}

/** Makes a setup of one file. */
function fakeSetup(
  name: 'tensorflow' | 'webgpu',
  { cuda = false, within = undefined as string | undefined } = {},
): string {
  const target = setupFolder(name, within);
  assertDiskSpace(target, 1);
  const staging = makeStagingFolder(target);
  writeFileSync(join(staging, 'library'), 'four');
  install(name, staging, target);
  writeManifest(name, { dir: target, version: '1.2.3', cuda, files: ['library'] });
  return target;
}

describe('what is set up', () => {
  test('nothing: null, and auto is wasm', async () => {
    assert.equal(findTensorflow(), null);
    assert.equal(findWebgpu(), null);
    assert.deepEqual(await chooseBackend('auto'), { backend: 'wasm', why: 'TensorFlow is not set up' });
  });

  test('a complete setup is found; auto takes it and names its folder', async () => {
    const dir = fakeSetup('tensorflow');
    const installed = findTensorflow();
    assert.ok(installed && !('problem' in installed));
    assert.deepEqual([installed.dir, installed.version, installed.cuda], [dir, '1.2.3', false]);
    assert.deepEqual(await chooseBackend('auto'), {
      backend: 'tensorflow',
      why: `TensorFlow on the CPU, ${dir}`,
    });
  });

  test('a file that is missing or has changed is a problem; auto falls back and says why', async () => {
    const dir = fakeSetup('tensorflow');
    writeFileSync(join(dir, 'library'), 'five!');
    const installed = findTensorflow();
    assert.ok(installed && 'problem' in installed);
    assert.match(installed.problem, /library was changed since its setup; run: dpmesh setup tensorflow/);
    assert.deepEqual(await chooseBackend('auto'), { backend: 'wasm', why: installed.problem });
    await assert.rejects(chooseBackend('tensorflow'), UserError);
    rmSync(join(dir, 'library'));
    assert.match((findTensorflow() as { problem: string }).problem, /is missing/);
  });

  test('a manifest that is not valid JSON is a problem', () => {
    fakeSetup('webgpu');
    for (const text of ['{', 'null', '{"dir":"/x","files":null}']) {
      writeFileSync(manifestPath('webgpu'), text);
      assert.match((findWebgpu() as { problem: string }).problem, /cannot be read; run: dpmesh setup webgpu/);
    }
  });

  test('a backend that is not set up: the error names the command that sets it up', async () => {
    await assert.rejects(chooseBackend('tensorflow'), /not set up here; run: dpmesh setup tensorflow/);
    await assert.rejects(chooseBackend('webgpu'), /not set up here; run: dpmesh setup webgpu/);
  });

  test('a GPU is required', async () => {
    await assert.rejects(chooseBackend('auto', { requireGpu: true }), /--require-gpu/);
    await assert.rejects(chooseBackend('wasm', { requireGpu: true }), /--require-gpu: --backend wasm/);
    fakeSetup('webgpu');
    assert.equal((await chooseBackend('auto', { requireGpu: true })).backend, 'webgpu');
    // Pinning is for CUDA devices: with WebGPU all workers would use the same adapter.
    await assert.rejects(chooseBackend('auto', { requireGpu: true, pinned: true }), /CUDA is not set up/);
  });

  test('DPMESH_TFJS', () => {
    const modules = join(home, 'theirs/node_modules/@tensorflow/tfjs-node');
    mkdirSync(join(modules, 'lib/napi-v8'), { recursive: true });
    writeFileSync(join(modules, 'package.json'), '{"name":"@tensorflow/tfjs-node","version":"4.1.0"}');
    const broken = join(home, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'package.json'), '{');
    try {
      process.env.DPMESH_TFJS = broken;
      assert.match((findTensorflow() as { problem: string }).problem, /has no @tensorflow\/tfjs-node/);
      process.env.DPMESH_TFJS = join(home, 'theirs/node_modules');
      assert.match((findTensorflow() as { problem: string }).problem, /has no binding/);
      const binding = join(modules, 'lib/napi-v8/tfjs_binding.node');
      writeFileSync(binding, '');
      for (const path of [modules, join(home, 'theirs/node_modules'), join(home, 'theirs')]) {
        process.env.DPMESH_TFJS = path;
        assert.deepEqual(findTensorflow(), {
          dir: modules,
          version: 'tfjs-node 4.1.0',
          cuda: false,
          binding,
        });
      }
      process.env.DPMESH_TFJS = home;
      assert.match((findTensorflow() as { problem: string }).problem, /has no @tensorflow\/tfjs-node/);
    } finally {
      delete process.env.DPMESH_TFJS;
    }
  });
});

describe('setting up and removing', () => {
  test('a setup deletes what an interrupted one left; a running one keeps its folder', () => {
    const target = setupFolder('tensorflow');
    assertDiskSpace(target, 1);
    mkdirSync(`${target}.making-999999999`);
    mkdirSync(`${target}.making-1`);
    // Of somebody else.
    mkdirSync(`${target}.making-of`);
    const staging = makeStagingFolder(target);
    assert.deepEqual(
      readdirSync(process.env.XDG_DATA_HOME!.concat('/dpmesh')).sort(),
      [staging, `${target}.making-1`, `${target}.making-of`].map((path) => path.split('/').at(-1)).sort(),
    );
  });

  test('removing also deletes what interrupted setups left', () => {
    const target = setupFolder('tensorflow');
    assertDiskSpace(target, 1);
    mkdirSync(`${target}.making-999999999`);
    assert.equal(removeSetup('tensorflow'), target);
    assert.ok(!existsSync(`${target}.making-999999999`));
    assert.equal(removeSetup('tensorflow'), null);
  });

  test('a setup in another folder replaces the old one', () => {
    const old = fakeSetup('tensorflow');
    const next = fakeSetup('tensorflow', { within: join(home, 'elsewhere') });
    assert.ok(!existsSync(old) && existsSync(next));
    assert.equal(removeSetup('tensorflow'), next);
    assert.ok(!existsSync(next));
    assert.equal(removeSetup('tensorflow'), null);
  });

  test('a folder that dpmesh did not make is neither used nor removed', () => {
    const theirs = join(home, 'theirs-too/tensorflow');
    mkdirSync(theirs, { recursive: true });
    assert.throws(() => assertDiskSpace(theirs, 1), /was not made by dpmesh setup/);
    mkdirSync(join(process.env.XDG_DATA_HOME!, 'dpmesh'));
    writeFileSync(manifestPath('tensorflow'), JSON.stringify({ dir: theirs, files: {} }));
    removeSetup('tensorflow');
    assert.ok(existsSync(theirs));
  });

  test('too little disk space', () => {
    assert.throws(
      () => assertDiskSpace(setupFolder('webgpu'), 1e18),
      /GB are needed; free some space, or choose another folder/,
    );
  });

  test('all missing tools are named before anything is written', async () => {
    await assert.rejects(
      withPath('', () => setupTensorflow({ cuda: false })),
      /python3.*; a C\+\+ compiler.*; npm/,
    );
    assert.deepEqual(readdirSync(process.env.XDG_DATA_HOME!), []);
  });

  test('a complete webgpu setup that does not load is replaced', async () => {
    fakeSetup('webgpu');
    await assert.rejects(
      withPath('', () => setupWebgpu({})),
      /setup webgpu needs npm/,
    );
    const packages = join(setupFolder('webgpu'), 'node_modules');
    for (const name of ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu', 'webgpu']) {
      mkdirSync(join(packages, name), { recursive: true });
      writeFileSync(join(packages, name, 'index.js'), '');
    }
    await withPath('', () => setupWebgpu({}));
  });

  test('every download has an exact version and a hash, and no code of packages runs', {
    skip: process.platform === 'win32' && 'shell scripts stand in for the programs',
  }, async () => {
    const bin = mkdtempSync(join(home, 'bin-'));
    const calls = join(bin, 'calls');
    // Each fails where it would download something; pip only the second time.
    const fake = (name: string, script: string) =>
      writeFileSync(
        join(bin, name),
        `#!/bin/sh\ncase " $* " in *" install "*|" ci "*) echo "$*" >>${calls}; ${script} ;; esac\n`,
        {
          mode: 0o755,
        },
      );
    fake('npm', `cp package-lock.json ${bin}/$(wc -l <${calls}).json; exit 1`);
    fake('python3', `[ "$(wc -l <${calls})" = 2 ]`);
    fake('g++', '');
    for (const setup of [
      () => setupWebgpu({}),
      () => setupTensorflow({ cuda: true }),
      () => setupTensorflow({ cuda: false }),
    ])
      await assert.rejects(withPath(`${bin}:${process.env.PATH}`, setup), /failed \(exit 1\)/);
    const lines = readFileSync(calls, 'utf8').trim().split('\n');
    assert.equal(lines.length, 4, lines.join('\n'));
    const locks = readdirSync(bin).filter((name) => name.endsWith('.json'));
    assert.equal(locks.length, 2);
    for (const lock of locks) {
      const { '': own, ...packages } = JSON.parse(readFileSync(join(bin, lock), 'utf8')).packages;
      for (const version of Object.values<string>(own.dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
      for (const [name, { integrity }] of Object.entries<{ integrity: string }>(packages))
        assert.match(integrity, /^sha512-/, name);
    }
    for (const line of lines) {
      if (line.startsWith('ci ')) {
        assert.match(line, / --ignore-scripts /);
        continue;
      }
      assert.match(line, / --require-hashes --no-deps --only-binary :all: /);
      const requirements = readFileSync(/ --requirement (\S+)/.exec(line)![1], 'utf8');
      const names = requirements.split('\n').filter((line) => /^\S/.test(line));
      assert.ok(names.length);
      for (const name of names) assert.match(name, /^[a-z0-9-]+==\d+(\.\d+)+ .*\\$/);
      for (const hashes of requirements.split(/^(?=\S)/m)) assert.match(hashes, /--hash=sha256:[0-9a-f]{64}/);
    }
  });

  test('the error of a failed program has its last lines of output', async () => {
    const program = 'for (let i = 0; i < 50; i++) console.error("line " + i); process.exit(7)';
    await assert.rejects(
      runProgram(process.execPath, ['-e', program], { remedy: 'do this' }),
      (error: Error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, /failed \(exit 7\); do this\n(.*\n)+ +line 49$/);
        assert.doesNotMatch(error.message, /line 30/);
        return true;
      },
    );
  });
});

test('out of device memory: the error has the bytes and the flags to change', () => {
  const error = new Error(
    'Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[1000,2500] and type float',
  );
  const explanation = explained(error, 'NVIDIA H100') as Error;
  assert.ok(explanation instanceof OutOfDeviceMemory);
  assert.match(explanation.message, /NVIDIA H100 .* 10,000,000 bytes.*--sample.*--covariance diag/);
  assert.equal(explained(error.cause, 'x'), undefined);
});
