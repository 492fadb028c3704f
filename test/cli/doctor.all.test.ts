import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CheckResult } from '../../worker/host/doctor/machine.ts';
import { probe } from '../../worker/host/doctor/probe.ts';
import { dpmesh, type ProcessResult, patience, scratch } from '../e2e/support.ts';
import { BROKEN, EIGHT, fakeNvidiaSmi, type Host, MIG } from '../worker/compute/nvidia-smi.ts';

const folder = scratch();
const fresh = (name: string) => mkdtempSync(join(folder, `${name}-`));

/** An environment in which no backend is set up, whatever this machine has. */
const bare = (env: Record<string, string> = {}) => ({
  cwd: folder,
  env: { XDG_DATA_HOME: fresh('data'), DPMESH_TFJS: undefined, CUDA_VISIBLE_DEVICES: undefined, ...env },
});
async function doctor(args: string[] = [], env: Record<string, string> = {}) {
  const run = () => dpmesh(['doctor', '--json', ...args], bare(env));
  const crowded = ({ stdout }: ProcessResult) => /no answer within|out of time/.test(stdout);
  let ended = await run();
  for (let tries = 0; tries < 2 && crowded(ended); tries++) ended = await run();
  // On an overloaded machine, the result says nothing about dpmesh.
  if (crowded(ended) && loadavg()[0] > 3 * availableParallelism()) throw new TooBusy();
  const last = ended.stdout.trimEnd().split('\n').at(-1)!;
  const { ok, checks } = JSON.parse(last) as { ok: boolean; checks: CheckResult[] };
  assert.equal(ended.stderr, '');
  assert.equal(ended.code, ok ? 0 : 1, ended.stdout);
  assert.equal(
    ok,
    checks.every(({ status }) => status !== 'failure'),
  );
  for (const { status, remedy, name } of checks) if (status === 'failure') assert.ok(remedy, name);
  return { ...ended, ok, of: (name: string) => checks.find((check) => check.name === name)!, checks };
}

const CUDA = /setup tensorflow --cuda/;

class TooBusy extends Error {}
/** A test that is skipped where the machine is too busy. */
const quietTest = (name: string, work: () => Promise<void>) =>
  test(name, (t) =>
    work().catch((error) => {
      if (!(error instanceof TooBusy)) throw error;
      t.skip('this machine is too busy');
    }),
  );

describe('doctor', { concurrency: 2 }, () => {
  quietTest('checks this machine, within the time limit', async () => {
    const { ok, checks, of, seconds } = await doctor([], { PATH: fresh('no-smi') });
    assert.ok(ok);
    assert.ok(seconds < patience(15), `${seconds} s`);
    assert.deepEqual(
      checks.map(({ name }) => name),
      [
        ...['node', 'zeromq', 'curve', 'cores', 'memory', 'files', 'port', 'data folder'],
        ...['wasm', 'cpu', 'tensorflow', 'webgpu', 'gpu', 'vulkan', 'backend'],
      ],
    );
    for (const name of ['node', 'zeromq', 'curve', 'cores']) assert.equal(of(name).status, 'ok', name);
    assert.match(of('node').detail, new RegExp(process.version));
    assert.match(of('curve').detail, /an encrypted message to 127\.0\.0\.1 and back took/);
    for (const name of ['wasm', 'cpu']) assert.match(of(name).detail, /[\d.]+ GFLOP\/s \(\d+×\d+ matrices\)/);
    const [, rate] = /([\d.]+) GFLOP/.exec(of('wasm').detail)!;
    assert.ok(Number(rate) > 0.5 && Number(rate) < 1000, of('wasm').detail);
    assert.match(of('backend').detail, /--backend auto uses wasm: TensorFlow is not set up/);
  });

  test('as text: one line per check, with the remedy below', async () => {
    const { code, stdout } = await dpmesh(['doctor'], bare());
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok +node +v\d+/m);
    assert.match(stdout, /^warning +tensorflow +not set up\n +→ dpmesh setup tensorflow$/m);
    assert.match(stdout, /\n\d+ ok, \d+ warnings?, 0 failures\n$/);
  });

  quietTest('--backend: exit 0 if it works, 1 if it is not set up', async () => {
    const wasm = await doctor(['--backend', 'wasm']);
    assert.equal(wasm.code, 0);
    assert.match(wasm.of('backend').detail, /--backend wasm uses wasm/);
    const tensorflow = await doctor(['--backend', 'tensorflow']);
    assert.equal(tensorflow.code, 1);
    const { status, remedy } = tensorflow.of('tensorflow');
    assert.deepEqual([status, remedy], ['failure', 'dpmesh setup tensorflow']);
  });

  quietTest(
    'TensorFlow that is installed but does not load: a warning, or a failure if it was requested',
    async () => {
      const own = join(fresh('tfjs'), 'tfjs-node-gpu');
      mkdirSync(join(own, 'lib', 'napi-v8'), { recursive: true });
      writeFileSync(join(own, 'package.json'), '{"name":"@tensorflow/tfjs-node-gpu","version":"4.22.0"}');
      writeFileSync(join(own, 'lib', 'napi-v8', 'tfjs_binding.node'), 'this is no library');
      const { code, of } = await doctor([], { DPMESH_TFJS: own });
      assert.equal(code, 0);
      assert.equal(of('tensorflow').status, 'warning');
      assert.match(of('tensorflow').detail, /does not load/);
      const requested = await doctor(['--backend', 'tensorflow'], { DPMESH_TFJS: own });
      assert.equal(requested.code, 1);
      assert.equal(requested.of('tensorflow').status, 'failure');
    },
  );

  test('an unknown backend: exit 2, with the names of the backends', async () => {
    const { code, stderr } = await dpmesh(['doctor', '--json', '--backend', 'nonesuch'], bare());
    assert.equal(code, 2);
    for (const name of ['auto', 'wasm', 'cpu', 'tensorflow', 'webgpu'])
      assert.ok(stderr.includes(name), stderr);
  });

  for (const [name, host, detail, remedy] of [
    ['eight GPUs', EIGHT, /H100.*79\.6 GiB.*driver 550\.54\.15; no backend that uses it is set up/, CUDA],
    ['MIG instances', MIG, /40GB \(40\.0 GiB, MIG instances 3g\.20gb, 2g\.10gb, 1g\.5gb\+me\)/, CUDA],
    ['a broken driver', BROKEN, /driver does not work/, /restart/],
  ] as [string, Host, RegExp, RegExp][])
    quietTest(`a host with ${name}`, async () => {
      const { code, of } = await doctor([], { PATH: fakeNvidiaSmi(fresh('smi'), host) });
      assert.equal(code, 0);
      assert.equal(of('gpu').status, 'warning');
      assert.match(of('gpu').detail, detail);
      assert.match(of('gpu').remedy!, remedy);
    });

  quietTest('a port that is in use, and a cache folder that is a file', async () => {
    const server = createServer();
    // Another process may have it, which serves the test as well.
    await new Promise((resolve) =>
      server.once('error', resolve).listen(5555, '127.0.0.1', () => resolve(null)),
    );
    const cache = join(folder, 'a-file');
    writeFileSync(cache, '');
    const { of } = await doctor([], { DPMESH_CACHE: cache }).finally(() => server.close());
    assert.match(of('port').detail, /not the default port 5555 \(EADDRINUSE\)/);
    assert.match(of('port').remedy!, /--bind/);
    assert.equal(of('data folder').status, 'warning');
    assert.match(of('data folder').detail, /a-file is not a folder/);
  });
});

describe('a probe', () => {
  /** Runs `code` at the start of the probe's process. */
  const first = (code: string) => {
    const script = join(fresh('first'), 'first.cjs');
    writeFileSync(script, `if (/probe-process/.test(process.argv[1])) { ${code} }`);
    return { NODE_OPTIONS: `--require ${script}` };
  };

  test('that crashes or hangs gives a problem and does not end the program', async () => {
    const crash = await probe(
      'backend',
      'wasm',
      20_000,
      first('process.kill(process.pid, "SIGILL"); for (;;);'),
    );
    assert.match('problem' in crash ? crash.problem : '', /crashed with SIGILL: it uses an instruction/);
    const startTime = performance.now();
    const hang = await probe('backend', 'wasm', 1000, first('for (;;);'));
    assert.match('problem' in hang ? hang.problem : '', /no answer within 1\.0 s/);
    assert.ok(performance.now() - startTime < 1000 * patience(3));
    const thrown = await probe('backend', 'wasm', 20_000, first('throw new RangeError("odd")'));
    assert.equal('problem' in thrown && thrown.problem, 'RangeError: odd');
  });
});
