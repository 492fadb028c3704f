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
import { chooseBackend } from '../../../worker/compute/backends/choose.ts';
import { OutOfDeviceMemory } from '../../../worker/compute/backends/errors.ts';
import { explained } from '../../../worker/compute/backends/tf-binding.ts';
import { findTensorflow, findWebgpu, manifestPath } from '../../../worker/compute/installed.ts';
import {
  assertRoom,
  moveToPlace,
  placeOf,
  removeSetup,
  workshop,
  writeManifest,
} from '../../../worker/host/setup/place.ts';
import { runProgram } from '../../../worker/host/setup/steps.ts';
import { setupTensorflow } from '../../../worker/host/setup/tensorflow.ts';
import { setupWebgpu } from '../../../worker/host/setup/webgpu.ts';

const home = mkdtempSync(join(tmpdir(), 'dpmesh-setup-'));
after(() => rmSync(home, { recursive: true, force: true }));
delete process.env.DPMESH_TFJS;
beforeEach(() => {
  process.env.XDG_DATA_HOME = mkdtempSync(join(home, 'data-'));
});

/** A setup with one file of the given content. */
function pretend(
  name: 'tensorflow' | 'webgpu',
  { cuda = false, within = undefined as string | undefined } = {},
): string {
  const place = placeOf(name, within);
  assertRoom(place, 1);
  const made = workshop(place);
  writeFileSync(join(made, 'library'), 'four');
  moveToPlace(name, made, place);
  writeManifest(name, { dir: place, version: '1.2.3', cuda, files: ['library'] });
  return place;
}

describe('what is set up', () => {
  test('nothing: null, and auto is wasm', async () => {
    assert.equal(findTensorflow(), null);
    assert.equal(findWebgpu(), null);
    assert.deepEqual(await chooseBackend('auto'), { backend: 'wasm', why: 'TensorFlow is not set up' });
  });

  test('a whole setup is found; auto takes it, and says where it is', async () => {
    const dir = pretend('tensorflow');
    const found = findTensorflow();
    assert.ok(found && !('problem' in found));
    assert.deepEqual([found.dir, found.version, found.cuda], [dir, '1.2.3', false]);
    assert.deepEqual(await chooseBackend('auto'), {
      backend: 'tensorflow',
      why: `TensorFlow on the CPU, ${dir}`,
    });
  });

  test('a file that is missing, or of another size, is a problem; auto falls back and says so', async () => {
    const dir = pretend('tensorflow');
    writeFileSync(join(dir, 'library'), 'five!');
    const found = findTensorflow();
    assert.ok(found && 'problem' in found);
    assert.match(found.problem, /library is not as it was set up; run: dpmesh setup tensorflow/);
    assert.deepEqual(await chooseBackend('auto'), { backend: 'wasm', why: found.problem });
    await assert.rejects(chooseBackend('tensorflow'), UserError);
    rmSync(join(dir, 'library'));
    assert.match((findTensorflow() as { problem: string }).problem, /is missing/);
  });

  test('a manifest that is no JSON is a problem', () => {
    pretend('webgpu');
    for (const text of ['{', 'null', '{"dir":"/x","files":null}']) {
      writeFileSync(manifestPath('webgpu'), text);
      assert.match((findWebgpu() as { problem: string }).problem, /cannot be read; run: dpmesh setup webgpu/);
    }
  });

  test('asked for and not set up: the command that does it', async () => {
    await assert.rejects(chooseBackend('tensorflow'), /not set up here; run: dpmesh setup tensorflow/);
    await assert.rejects(chooseBackend('webgpu'), /not set up here; run: dpmesh setup webgpu/);
  });

  test('a GPU is required', async () => {
    await assert.rejects(chooseBackend('auto', { requireGpu: true }), /--require-gpu/);
    await assert.rejects(chooseBackend('wasm', { requireGpu: true }), /--require-gpu: --backend wasm/);
    pretend('webgpu');
    assert.equal((await chooseBackend('auto', { requireGpu: true })).backend, 'webgpu');
    // Pinning is for CUDA's cards: all workers would take the same adapter.
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

describe('making and removing', () => {
  test('what a killed try left is deleted by the next; another that runs keeps its own', () => {
    const place = placeOf('tensorflow');
    assertRoom(place, 1);
    mkdirSync(`${place}.making-999999999`);
    mkdirSync(`${place}.making-1`);
    const made = workshop(place);
    assert.deepEqual(
      readdirSync(process.env.XDG_DATA_HOME!.concat('/dpmesh')).sort(),
      [made, `${place}.making-1`].map((path) => path.split('/').at(-1)).sort(),
    );
  });

  test('removing takes what killed tries left, too', () => {
    const place = placeOf('tensorflow');
    assertRoom(place, 1);
    mkdirSync(`${place}.making-999999999`);
    assert.equal(removeSetup('tensorflow'), place);
    assert.ok(!existsSync(`${place}.making-999999999`));
    assert.equal(removeSetup('tensorflow'), null);
  });

  test('in another folder: the old one goes', () => {
    const old = pretend('tensorflow');
    const next = pretend('tensorflow', { within: join(home, 'elsewhere') });
    assert.ok(!existsSync(old) && existsSync(next));
    assert.equal(removeSetup('tensorflow'), next);
    assert.ok(!existsSync(next));
    assert.equal(removeSetup('tensorflow'), null);
  });

  test('a folder that is not ours is neither used nor removed', () => {
    const theirs = join(home, 'theirs-too/tensorflow');
    mkdirSync(theirs, { recursive: true });
    assert.throws(() => assertRoom(theirs, 1), /is not of dpmesh setup's making/);
    mkdirSync(join(process.env.XDG_DATA_HOME!, 'dpmesh'));
    writeFileSync(manifestPath('tensorflow'), JSON.stringify({ dir: theirs, files: {} }));
    removeSetup('tensorflow');
    assert.ok(existsSync(theirs));
  });

  test('no room', () => {
    assert.throws(
      () => assertRoom(placeOf('webgpu'), 1e18),
      /GB are needed; make room, or name another folder/,
    );
  });

  test('tools that are missing are named, all of them, before anything is made', async () => {
    const { PATH } = process.env;
    process.env.PATH = '';
    try {
      await assert.rejects(setupTensorflow({ cuda: false }), /python3.*; a C\+\+ compiler.*; npm/);
    } finally {
      process.env.PATH = PATH;
    }
    assert.deepEqual(readdirSync(process.env.XDG_DATA_HOME!), []);
  });

  test('a webgpu that is whole but does not load is made again', async () => {
    pretend('webgpu');
    const { PATH } = process.env;
    process.env.PATH = '';
    try {
      await assert.rejects(setupWebgpu({}), /setup webgpu needs npm/);
    } finally {
      process.env.PATH = PATH;
    }
    const packages = join(placeOf('webgpu'), 'node_modules');
    for (const name of ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu', 'webgpu']) {
      mkdirSync(join(packages, name), { recursive: true });
      writeFileSync(join(packages, name, 'index.js'), '');
    }
    process.env.PATH = '';
    try {
      await setupWebgpu({});
    } finally {
      process.env.PATH = PATH;
    }
  });

  test('what is fetched has a version, and runs nothing on its way', {
    skip: process.platform === 'win32' && 'programs are played by scripts',
  }, async () => {
    const bin = mkdtempSync(join(home, 'bin-'));
    const asked = join(bin, 'asked');
    // Each fails where it would fetch something; pip only at the second time.
    const play = (name: string, script: string) =>
      writeFileSync(
        join(bin, name),
        `#!/bin/sh\ncase " $* " in *" install "*) echo "$*" >>${asked}; ${script} ;; esac\n`,
        {
          mode: 0o755,
        },
      );
    play('npm', 'exit 1');
    play('python3', `[ "$(wc -l <${asked})" = 2 ]`);
    play('g++', '');
    const { PATH } = process.env;
    process.env.PATH = `${bin}:${PATH}`;
    try {
      for (const setup of [
        () => setupWebgpu({}),
        () => setupTensorflow({ cuda: true }),
        () => setupTensorflow({ cuda: false }),
      ])
        await assert.rejects(setup, /failed \(exit 1\)/);
    } finally {
      process.env.PATH = PATH;
    }
    const lines = readFileSync(asked, 'utf8').trim().split('\n');
    assert.equal(lines.length, 4, lines.join('\n'));
    for (const line of lines) {
      const isNpm = line.startsWith('install');
      assert.match(line, isNpm ? / --ignore-scripts / : / --only-binary :all: /);
      const packages = line
        .split(' ')
        .filter((word) => /^[@a-z]/.test(word) && !/^(install|pip)$/.test(word));
      assert.ok(packages.length);
      for (const each of packages) assert.match(each, isNpm ? /.@\d+\.\d+\.\d+$/ : /==\d+\.\d+\.\d+$/);
    }
  });

  test('a program that fails is shown with its last lines', async () => {
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

test('no room on the card: the flags to change, and the bytes', () => {
  const error = new Error(
    'Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[1000,2500] and type float',
  );
  const found = explained(error, 'NVIDIA H100') as Error;
  assert.ok(found instanceof OutOfDeviceMemory);
  assert.match(found.message, /NVIDIA H100 .* 10,000,000 bytes.*--sample.*--covariance diag/);
  assert.equal(explained(error.cause, 'x'), undefined);
});
