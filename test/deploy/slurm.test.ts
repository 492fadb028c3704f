// deploy/slurm/dpmesh.sbatch on a real Slurm cluster of two nodes: the same bytes as a local run, even if requeued twice.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
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
  const { data } = easyData(folder, 'easy', 2000);
  const flags = [...QUICK, '--no-early-stop', '--max-epochs', '60'];
  let cluster: SlurmCluster;
  let expected: string[];

  before(async () => {
    mkdirSync(join(folder, 'slurm'));
    cluster = await startSlurm(join(folder, 'slurm'));
    const local = join(folder, 'local');
    jsonOf(await dpmesh(trainArgs(data, local, '--workers', 2, ...flags)));
    expected = resultHashes(local);
  });
  after(() => cluster?.stop());

  const log = (run: string) => `${run}.log`;
  const submit = (run: string) =>
    cluster.slurm('sbatch', '--parsable', '--nodes=2', `--output=${log(run)}`, SCRIPT, data, run, ...flags);
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
    assert.equal(ofType(eventsOf(run), 'worker').length, 3);
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
  });
});
