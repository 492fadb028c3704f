// deploy/slurm/dpmesh.sbatch on a real Slurm cluster of two nodes: the same bytes as a local run, even if requeued twice.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  jsonOf,
  ofType,
  QUICK,
  resultHashes,
  scratch,
  trainArgs,
} from '../e2e/support.ts';
import { eventually, type SlurmCluster, slurmProblem, startSlurm } from './slurm-cluster.ts';

const SCRIPT = resolve('deploy/slurm/dpmesh.sbatch');
const skip = slurmProblem() ?? false;

// Outside describe, so that the folder is removed after the cluster has stopped.
const folder = scratch();

describe('Slurm', { skip }, () => {
  const { data } = easyData(folder, 'easy', 600);
  // `--events` is not of the result: it has to survive a requeue.
  const flags = [...QUICK.map(String), '--no-early-stop', '--max-epochs', '60', '--events'];
  let cluster: SlurmCluster;
  let expected: string[];

  before(async () => {
    mkdirSync(join(folder, 'slurm'));
    cluster = await startSlurm(join(folder, 'slurm'));
    const local = join(folder, 'local');
    jsonOf(await dpmesh(trainArgs(data, local, '--workers', 2, ...flags.slice(0, -1))));
    expected = resultHashes(local);
  });
  after(() => cluster?.stop());

  const log = (run: string) => `${run}.log`;
  const submit = (run: string, ...options: string[]) =>
    cluster.slurm(
      ...(['sbatch', '--parsable', '--nodes=2', `--output=${log(run)}`, ...options] as const),
      ...[SCRIPT, data, run, ...flags],
    );
  const stateOf = (job: string) => /JobState=(\w+)/.exec(cluster.slurm('scontrol', 'show', 'job', job))![1];
  async function completed(job: string, run: string) {
    await eventually('the end of the job', () => !/PENDING|RUNNING|COMPLETING|REQUEUED/.test(stateOf(job)));
    assert.equal(stateOf(job), 'COMPLETED', `${readFileSync(log(run), 'utf8')}\n${cluster.logs()}`);
    assert.deepEqual(resultHashes(run), expected);
    assert.ok(!existsSync(`${run}.keys`), 'keys left behind');
  }
  const sessions = (run: string) => ofType(eventsOf(run), 'resume').length;

  test('a coordinator, and a worker on each node; a killed worker is started again', async () => {
    const run = join(folder, 'plain');
    const job = submit(run);
    await eventually('epoch 5', () => epochOf(run) >= 5);
    process.kill(ofType(eventsOf(run), 'worker')[0].pid, 'SIGKILL');
    await completed(job, run);
    const workers = ofType(eventsOf(run), 'worker');
    assert.equal(workers.length, 3);
    assert.deepEqual([...new Set(workers.map(({ name }) => name))].sort(), ['one/0', 'two/1']);
    // The page needs a token, which is in a log that only its owner reads.
    assert.equal(statSync(log(run)).mode & 0o77, 0);
    assert.match(
      readFileSync(log(run), 'utf8'),
      /^dpmesh: page of the run, on \S+: http:\/\/127\.0\.0\.1:1\d{4}\/\?token=\S{24}$/m,
    );
  });

  test('five tasks on a node: their relay is one worker, and the same bytes', async () => {
    const run = join(folder, 'relay');
    const job = submit(run, '--nodes=1', '--ntasks=5');
    await completed(job, run);
    const names = new Set(ofType(eventsOf(run), 'worker').map(({ name }) => name));
    assert.deepEqual([...names], ['one/relay'], readFileSync(log(run), 'utf8'));
  });

  const GPUS = ['--gpus-per-task=1', '--gres=gpu:1', '--gpus=2', '--gpus-per-node=2'];
  test(`${GPUS.join(', ')}: without a GPU no worker computes, and the job ends and says so`, async () => {
    const jobs = GPUS.map((gpus) => {
      const run = join(folder, gpus.replace(/\W/g, ''));
      return { run, job: submit(run, gpus) };
    });
    for (const { run, job } of jobs) {
      await eventually('the end of the job', () => !/PENDING|RUNNING|COMPLETING/.test(stateOf(job)));
      const text = readFileSync(log(run), 'utf8');
      assert.equal(stateOf(job), 'FAILED', `${text}\n${cluster.logs()}`);
      assert.match(text, /worker: error: .*--require-gpu|dpmesh: .*GPU/, text);
      assert.match(text, /^dpmesh: all workers have ended with exit code 2, for the reason above/m);
    }
  });

  test('requeued by an administrator, then by its own time limit', async () => {
    const run = join(folder, 'requeued');
    const job = submit(run);
    await eventually('epoch 8', () => epochOf(run) >= 8);
    cluster.slurm('scontrol', 'requeue', job);
    await eventually('the second session', () => sessions(run) === 1);
    await eventually('epoch 25', () => epochOf(run) >= 25);
    // Slurm itself sends this one minute before the time limit.
    cluster.slurm('scancel', '--batch', '--signal=USR1', job);
    await eventually('the third session', () => sessions(run) === 2);
    await completed(job, run);
    assert.match(cluster.slurm('scontrol', 'show', 'job', job), /Restarts=2/);
    assert.equal(
      readFileSync(log(run), 'utf8').match(/^\{.*"type":"resume"/gm)?.length,
      2,
      'flags were lost',
    );
  });
});
