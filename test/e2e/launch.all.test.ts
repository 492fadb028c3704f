// Workers on the GPUs of hosts described by a fake nvidia-smi: real processes, but with WASM instead of CUDA.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from '../../proto/codec.ts';
import { bindRouter } from '../../proto/sockets.ts';
import {
  BROKEN,
  EIGHT,
  fakeNvidiaSmi,
  type Host,
  MIG,
  SLICES,
  uuidOf,
} from '../worker/compute/nvidia-smi.ts';
import {
  assertNoneLeft,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  patience,
  QUICK,
  type RunningProcess,
  refused,
  resultHashes,
  scratch,
  start,
  startCoordinator,
  trainArgs,
  undisturbedHashes,
  until,
} from './support.ts';

const folder = scratch();
const easy = easyData(folder, 'easy', 800);
const host = hostname();
const on = (described: Host) => ({
  env: {
    PATH: fakeNvidiaSmi(mkdtempSync(join(folder, 'smi-')), described),
    XDG_DATA_HOME: folder,
    CUDA_VISIBLE_DEVICES: undefined,
  } as Record<string, string | undefined>,
});

const coordinator = (name: string, ...more: (string | number)[]) =>
  startCoordinator(easy.data, join(folder, name), ...QUICK, ...more);
const launchArgs = (connect: string, ...more: (string | number)[]) => [
  ...['launch', '--connect', connect, '--backend', 'wasm', '--data-root', folder, ...more],
];
const workersOf = (run: string) => ofType(eventsOf(run), 'worker');
/** CUDA_VISIBLE_DEVICES of the live workers of a run. */
const pinsOf = (run: string) =>
  Object.fromEntries(
    workersOf(run).map(({ name, pid }) => [
      name,
      /(?:^|\0)CUDA_VISIBLE_DEVICES=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1],
    ]),
  );
/** Stops a long run and the workers launched for it. */
async function stop(coordinator: RunningProcess, ...launched: RunningProcess[]) {
  coordinator.kill('SIGTERM');
  await coordinator.ended;
  for (const each of launched) {
    const { code, stderr } = await each.ended;
    assert.equal(code, 0, stderr);
    await assertNoneLeft(each.pid, 1);
  }
}

/** Makes workers on one of these GPUs fail at their start. */
function failingOn(...uuids: string[]) {
  const script = join(mkdtempSync(join(folder, 'fail-')), 'fail.cjs');
  writeFileSync(
    script,
    `if (/bundled.worker\\.js$/.test(process.argv[1]) && ${JSON.stringify(uuids)}.includes(process.env.CUDA_VISIBLE_DEVICES))
       throw new Error('CUDA_ERROR_ECC_UNCORRECTABLE of ' + process.env.CUDA_VISIBLE_DEVICES);`,
  );
  return { NODE_OPTIONS: `--require ${script}` };
}

describe('launch', { concurrency: 2 }, () => {
  test('--dry-run says which worker would be on which device, and starts none', async () => {
    const args = launchArgs('tcp://127.0.0.1:1', '--gpus', '5,0', '--cpus', 1, '--dry-run');
    const { code, stdout, stderr } = await dpmesh(args, on(EIGHT));
    assert.equal(code, 0, stderr);
    const expected = [`${uuidOf(5)} -> ${host}/gpu5`, `${uuidOf(0)} -> ${host}/gpu0`, `cpu -> ${host}/cpu0`];
    assert.deepEqual(stdout.trim().split('\n').sort(), expected.sort());
    assert.equal(stderr, '');
  });

  test('one pinned and named worker per selected GPU, with its output; launch ends with the run', async () => {
    const { run, running, address } = await coordinator('eight', ...ENDLESS);
    const launched = start(launchArgs(address, '--gpus', '5,0', '--cpus', 1), on(EIGHT));
    await until('three workers', () => workersOf(run).length === 3, launched);
    assert.deepEqual(pinsOf(run), {
      [`${host}/gpu0`]: uuidOf(0),
      [`${host}/gpu5`]: uuidOf(5),
      [`${host}/cpu0`]: '-1',
    });
    await stop(running, launched);
    const lines = launched.stderr().trimEnd().split('\n');
    assert.equal(lines.filter((line) => line.endsWith(': the run was stopped (exit code 130)')).length, 3);
    for (const line of lines) assert.match(line, /^(launch|[^ ]+\/(gpu0|gpu5|cpu0)): /, line);
    assert.equal(lines.filter((line) => /\/gpu5: joined as w\d; rows come from/.test(line)).length, 1);
  });

  test('workers are pinned to single MIG instances; train --gpus is coordinator and launch in one', async () => {
    const run = join(folder, 'mig');
    const training = start(
      trainArgs(easy.data, run, '--backend', 'wasm', '--gpus', 'all', ...QUICK, ...ENDLESS),
      on(MIG),
    );
    await until('four workers', () => workersOf(run).length === 4, training);
    const names = ['gpu0.0', 'gpu0.1', 'gpu0.2', 'gpu1'].map((name) => `${host}/${name}`);
    assert.deepEqual(
      pinsOf(run),
      Object.fromEntries(names.map((name, i) => [name, [...SLICES, uuidOf(1)][i]])),
    );
    training.kill('SIGTERM');
    assert.equal((await training.ended).code, 130);
    await assertNoneLeft(training.pid);
  });

  test('two workers on one GPU give the same result', async () => {
    const [gpus, flags] = [join(folder, 'per-gpu'), ['--backend', 'wasm', ...QUICK]];
    const args = trainArgs(easy.data, gpus, ...flags, '--gpus', 3, '--per-gpu', 2);
    jsonOf(await dpmesh(args, on(EIGHT)));
    const names = workersOf(gpus).map(({ name }) => name);
    assert.deepEqual(names.sort(), [`${host}/gpu3-0`, `${host}/gpu3-1`]);
    const expected = await undisturbedHashes(easy.data, join(folder, 'plain'), ...flags);
    assert.deepEqual(resultHashes(gpus), expected);
  });

  test('launch gives up on a crash loop with its last error, and the others continue', async () => {
    const { run, running, address } = await coordinator('crash', ...ENDLESS);
    // Until then nothing is to be computed.
    running.kill('SIGSTOP');
    const options = on(EIGHT);
    Object.assign(options.env, failingOn(uuidOf(1)));
    const launched = start(launchArgs(address, '--gpus', '1,2'), options);
    await until('giving up', () => launched.stderr().includes('gave up on'), launched);
    running.kill('SIGCONT');
    assert.match(
      launched.stderr(),
      new RegExp(
        `gave up on ${host}/gpu1: worker ${host}/gpu1 failed 6 times in a row: Error: CUDA_ERROR_ECC\\S+ of ${uuidOf(1)}`,
      ),
    );
    const delays = [...launched.stderr().matchAll(/exited with 1; restarting it in ([\d.]+) s/g)].map(
      ([, delay]) => Number(delay),
    );
    assert.equal(delays.length, 4, launched.stderr());
    for (const [i, delay] of delays.entries()) {
      const most = 0.4 * 2 ** i;
      assert.ok(delay >= most / 2 && delay <= most, `delay ${i} of ${delay} s`);
    }
    const epoch = epochOf(run);
    await until('the other to go on', () => epochOf(run) > epoch + 1, launched);
    assert.deepEqual(
      workersOf(run).map(({ name }) => name),
      [`${host}/gpu2`],
    );
    await stop(running, launched);
  });

  test('a killed worker is replaced at once; on SIGTERM all say goodbye', async () => {
    const { run, running, address } = await coordinator('terminated', ...ENDLESS);
    const launched = start(launchArgs(address, '--cpus', 2));
    await until('both at work', () => workersOf(run).length === 2 && epochOf(run) > 2, launched);
    const [{ pid, name }] = workersOf(run);
    process.kill(pid, 'SIGKILL');
    // A separate coordinator is not told: it notices the hello of the successor, or the silence.
    const next = await until('its successor', () => workersOf(run)[2], launched);
    assert.equal(next.name, name);
    assert.notEqual(next.pid, pid);
    assert.ok(launched.stderr().includes(`launch: ${name} killed by SIGKILL; restarting it\n`));
    const alive = workersOf(run)
      .filter((each) => each.pid !== pid)
      .map((each) => each.worker);
    launched.kill('SIGTERM');
    const { code, stderr } = await launched.ended;
    assert.equal(code, 0, stderr);
    await assertNoneLeft(launched.pid);
    // On a very busy machine a worker may already count as silent, and then its goodbye gives no event.
    const gone = () => ofType(eventsOf(run), 'worker-gone');
    await until('goodbyes', () => alive.every((each) => gone().some((event) => event.worker === each)));
    const last = alive.map((each) => gone().findLast((event) => event.worker === each)!);
    assert.ok(
      last.every(
        ({ reason }) => reason === 'said goodbye' || (patience(1) > 1.5 && reason.startsWith('silent')),
      ),
      JSON.stringify(last),
    );
    await stop(running);
  });

  test('a second signal kills workers that do not leave', async () => {
    const { run, running, address } = await coordinator('stuck', ...ENDLESS);
    const launched = start(launchArgs(address, '--cpus', 1));
    await until('work', () => epochOf(run) > 2, launched);
    process.kill(workersOf(run)[0].pid, 'SIGSTOP');
    launched.kill('SIGINT');
    await until('what it says', () => launched.stderr().includes('signal again to kill them'), launched);
    // As npx passes on what all have got already.
    launched.kill('SIGINT');
    await sleep(1100);
    assert.doesNotMatch(launched.stderr(), /killing the workers/);
    launched.kill('SIGINT');
    const { code, stderr } = await launched.ended;
    assert.equal(code, 130, stderr);
    assert.match(stderr, /killing the workers/);
    await assertNoneLeft(launched.pid);
    await stop(running);
  });
});

describe('launch without a coordinator', { concurrency: 2 }, () => {
  test('an unreachable one: launch logs its retries, then gives up', async () => {
    const address = `tcp://127.0.0.1:${await freePort()}`;
    const { code, stderr } = await dpmesh(launchArgs(address, '--cpus', 1, '--give-up-after', 10));
    assert.equal(code, 1, stderr);
    const says = stderr.match(
      /cpu0: no answer from tcp:\S+ for \d+ s, still trying: nothing listens on this port/g,
    );
    assert.ok(says && says.length >= 2, stderr);
    assert.match(
      stderr,
      new RegExp(`gave up on ${host}/cpu0: no message from ${address} for 10 s: nothing listens`),
    );
  });

  test('a port used by another program', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const address = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const launched = start(launchArgs(address, '--cpus', 1));
    await until(
      'an explanation',
      () => launched.stderr().includes('not a dpmesh coordinator: it sends “HTTP/1.1 400'),
      launched,
    );
    launched.kill('SIGTERM');
    await launched.ended;
  });

  test('one of another version rejects with a message, and launch does not retry', async (t) => {
    const reason = 'it speaks protocol 1, this coordinator 99; use the same version of dpmesh';
    const router = await bindRouter('tcp://127.0.0.1:*', (peer) => {
      void router.send(peer, encode({ type: 'refuse', reason }));
    });
    t.after(() => router.close());
    const { code, stderr } = await dpmesh(launchArgs(router.address, '--cpus', 1));
    assert.equal(code, 1, stderr);
    assert.ok(
      stderr.includes(`gave up on ${host}/cpu0: the coordinator refused this worker: ${reason}`),
      stderr,
    );
    assert.doesNotMatch(stderr, /restarting it/);
  });

  for (const [name, described, says, ...args] of [
    ['a GPU that is not there', EIGHT, /--gpus 9: this host has no GPU 9; it has 0, 1, 2/, '--gpus', 9],
    ['no list of GPUs', EIGHT, /--gpus first: must be all, none/, '--gpus', 'first'],
    ['a broken driver', BROKEN, /driver does not work.*restart/, '--gpus', 'all'],
    ['no nvidia-smi, nothing asked for', null, /no nvidia-smi on this host.*--cpus N/],
    ['nothing to start', EIGHT, /no workers to start: --gpus none, --cpus 0/, '--gpus', 'none', '--cpus', 0],
    [
      'GPUs and nothing that uses them',
      EIGHT,
      /--gpus: CUDA is not set up/,
      '--gpus',
      0,
      '--backend',
      'auto',
    ],
    ['GPUs of CUDA for WebGPU', EIGHT, /--gpus is for CUDA’s cards/, '--gpus', 0, '--backend', 'webgpu'],
  ] as [string, Host | null, RegExp, ...(string | number)[]][])
    test(`${name}: exit 2`, async () => {
      const options = described ? on(described) : { env: { PATH: mkdtempSync(join(folder, 'empty-')) } };
      refused(await dpmesh(launchArgs('tcp://127.0.0.1:9', ...args), options), says);
    });

  for (const [says, ...args] of [
    [/--per-gpu 2 needs --gpus/, '--per-gpu', 2],
    [/no GPU 8/, '--gpus', 8],
  ] as [RegExp, ...(string | number)[]][])
    test(`train ${args.join(' ')}: exit 2`, async () => {
      const out = join(folder, 'never');
      refused(await dpmesh(trainArgs(easy.data, out, ...args), on(EIGHT)), says);
    });
});
