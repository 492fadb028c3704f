// Runs the commands of deploy/ with paths and addresses replaced by those of the test.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  dpmesh,
  easyData,
  epochOf,
  eventsOf,
  freePort,
  jsonOf,
  ofType,
  patience,
  resultHashes,
  until,
} from '../e2e/support.ts';

const MAIN = resolve('dist/cli/main.js');

/** Whether a program is installed. */
export function has(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The reason to skip a test if programs are missing, else false. */
export const missingTools = (...tools: string[]) => {
  const missing = tools.filter((tool) => !has(tool));
  return missing.length ? `${missing.join(', ')} not installed (see .ci/install)` : false;
};

export interface TestSetup {
  /** The folder of the test. */
  folder: string;
  /** Rows of six clusters. */
  data: string;
  /** Result hashes of a local run with the same flags. */
  expected: string[];
  /** A run.yaml with the flags of the run and `path` as data. */
  runYaml(path: string): string;
  /** Two free ports: for workers and for HTTP. */
  ports: [number, number];
}

/** Epochs of a run whose coordinator is killed: longer than the two seconds that a worker may wait between two attempts to connect. */
const LONG = 250;

/** Creates data in the folder, and the expected results of a run. */
export async function setUp(folder: string, epochs = LONG): Promise<TestSetup> {
  const { data } = easyData(folder, 'rows', 1500);
  const flags = `split-merge-every: 10\nbatch-size: 16\nmax-epochs: ${epochs}\nearly-stop: false\n`;
  const runYaml = (path: string) => `data: ${path}\n${flags}`;
  const config = join(folder, 'local.yaml');
  writeFileSync(config, runYaml(data));
  const local = join(folder, 'local');
  jsonOf(
    await dpmesh(['train', '--config', config, '--out', local, '--json', '--no-report', '--workers', 1]),
  );
  return {
    folder,
    data,
    expected: resultHashes(local),
    runYaml,
    ports: [await freePort(), await freePort()],
  };
}

/** A folder for PATH with the commands that the image has. */
function binaries(folder: string): string {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, 'dpmesh'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`);
  chmodSync(join(bin, 'dpmesh'), 0o755);
  symlinkSync(resolve('deploy/start-or-resume.sh'), join(bin, 'start-or-resume.sh'));
  return bin;
}

export interface DeployCommand {
  argv: string[];
  env?: Record<string, string>;
  /** Text in deploy/ → its replacement in the test. */
  replacements: Record<string, string>;
}

/** The arguments with all replacements made, longest first. */
export const localArgs = ({ argv, replacements }: DeployCommand) =>
  argv.map((text) =>
    Object.keys(replacements)
      .sort((a, b) => b.length - a.length)
      .reduce((now, from) => now.replaceAll(from, `\0${Object.keys(replacements).indexOf(from)}\0`), text)
      .replace(/\0(\d+)\0/g, (_, i) => Object.values(replacements)[i]),
  );

/** Starts a command. It is killed at the end of the test file. */
export function begin(command: DeployCommand, folder: string) {
  const [file, ...args] = localArgs(command);
  const child = spawn(file, args, {
    env: { ...process.env, PATH: `${binaries(folder)}:${process.env.PATH}`, ...command.env },
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  after(() => void child.kill('SIGKILL'));
  return { stderr: () => stderr, ended, kill: (signal: NodeJS.Signals) => child.kill(signal) };
}

const resultOf = (run: string) => {
  try {
    return JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).result;
  } catch {
    return null;
  }
};

/**
 * Runs a coordinator and two workers with the commands of a deployment, kills the coordinator during the run and starts it
 * again with the same command. The result must be the same bytes as that of a local run.
 */
export async function assertSurvivesKill(
  coordinator: DeployCommand,
  worker: DeployCommand,
  run: string,
  { folder, expected }: TestSetup,
): Promise<void> {
  mkdirSync(join(run, '..'), { recursive: true });
  const workers = [begin(worker, folder), begin(worker, folder)];
  // A worker that starts late would find the run over, and wait for another.
  await until('both workers', () => workers.every(({ stderr }) => stderr().includes('connecting to')));
  const first = begin(coordinator, folder);
  const logs = () => [first, ...workers].map(({ stderr }) => stderr()).join('\n');
  await until('epoch 5', () => epochOf(run) >= 5).catch((error) =>
    assert.fail(`${error.message}\n${logs()}`),
  );
  first.kill('SIGKILL');
  await first.ended;
  const second = begin(coordinator, folder);
  await until('a result', () => resultOf(run)).catch((error) =>
    assert.fail(`${error.message}\n${second.stderr()}\n${logs()}`),
  );
  assert.equal(ofType(eventsOf(run), 'resume').length, 1, 'the second start did not resume');
  assert.deepEqual(resultHashes(run), expected);
  second.kill('SIGTERM');
  await second.ended;
  await assertDismissed(workers);
}

/** Runs a coordinator and a worker with the commands of a deployment, and the first again, which finds its run finished. */
export async function assertRuns(
  command: DeployCommand,
  workerCommand: DeployCommand,
  run: string,
  { folder, expected }: TestSetup,
): Promise<void> {
  mkdirSync(join(run, '..'), { recursive: true });
  const coordinator = begin(command, folder);
  await until('its port', () => coordinator.stderr().includes('listening on'));
  const worker = begin(workerCommand, folder);
  await until('a result', () => resultOf(run)).catch((error) =>
    assert.fail(`${error.message}\n${coordinator.stderr()}\n${worker.stderr()}`),
  );
  assert.deepEqual(resultHashes(run), expected);
  coordinator.kill('SIGTERM');
  await coordinator.ended;
  await assertDismissed([worker]);
  const again = begin(command, folder);
  assert.equal(await again.ended, 0, again.stderr());
}

/** Workers end, as their coordinator has dismissed them. */
async function assertDismissed(workers: ReturnType<typeof begin>[]): Promise<void> {
  for (const each of workers) {
    const outcome = await Promise.race([
      each.ended,
      sleep(1000 * patience(10), 'still running', { ref: false }),
    ]);
    assert.equal(outcome, 0, each.stderr());
  }
}
