// The commands of deploy/ run as they stand there, but with their paths and addresses on this machine.
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

/** Is a program there? */
export function has(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Of a skipped test, where a program is missing: said by name. */
export const without = (...tools: string[]) => {
  const missing = tools.filter((tool) => !has(tool));
  return missing.length ? `${missing.join(', ')} not here (.ci/install brings it)` : false;
};

export interface Place {
  /** Where the test's files are. */
  folder: string;
  /** Rows of six clusters. */
  data: string;
  /** Of labels and model, by a local run of the same flags. */
  expected: string[];
  /** The flags of the run, as the text of a run.yaml whose data are at `path`. */
  runYaml(path: string): string;
  /** Two free ports: of the workers, of HTTP. */
  ports: [number, number];
}

/** Data in the folder, and what a run over them must give. */
export async function place(folder: string): Promise<Place> {
  const { data } = easyData(folder, 'rows', 1500);
  const flags = 'split-merge-every: 3\nbatch-size: 16\nmax-epochs: 40\nearly-stop: false\n';
  const runYaml = (path: string) => `data: ${path}\n${flags}`;
  const config = join(folder, 'local.yaml');
  writeFileSync(config, runYaml(data));
  const local = join(folder, 'local');
  jsonOf(await dpmesh(['train', '--config', config, '--out', local, '--json', '--workers', 1]));
  return {
    folder,
    data,
    expected: resultHashes(local),
    runYaml,
    ports: [await freePort(), await freePort()],
  };
}

/** A folder for PATH with what the image has in its own. */
function binaries(folder: string): string {
  const bin = mkdtempSync(join(folder, 'bin-'));
  writeFileSync(join(bin, 'dpmesh'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`);
  chmodSync(join(bin, 'dpmesh'), 0o755);
  symlinkSync(resolve('deploy/start-or-resume.sh'), join(bin, 'start-or-resume.sh'));
  return bin;
}

export interface Command {
  argv: string[];
  env?: Record<string, string>;
  /** What stands there → what it is here, longest first. */
  moved: Record<string, string>;
}

/** Its arguments as they are here. */
export const here = ({ argv, moved }: Command) =>
  argv.map((text) =>
    Object.keys(moved)
      .sort((a, b) => b.length - a.length)
      .reduce((now, from) => now.replaceAll(from, `\0${Object.keys(moved).indexOf(from)}\0`), text)
      .replace(/\0(\d+)\0/g, (_, i) => Object.values(moved)[i]),
  );

/** Starts a command; killed when the test file ends. */
export function begin(command: Command, folder: string) {
  const [file, ...args] = here(command);
  const child = spawn(file, args, {
    env: { ...process.env, PATH: `${binaries(folder)}:${process.env.PATH}`, ...command.env },
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  after(() => void child.kill('SIGKILL'));
  return { said: () => said, ended, kill: (signal: NodeJS.Signals) => child.kill(signal) };
}

const resultOf = (run: string) => {
  try {
    return JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).result;
  } catch {
    return null;
  }
};

/**
 * A coordinator and two workers, by the commands of a deployment; the coordinator is killed on the way and started again by
 * the same command. The run must end on the bytes of a local one.
 */
export async function proves(
  coordinator: Command,
  worker: Command,
  run: string,
  { folder, expected }: Place,
): Promise<void> {
  mkdirSync(join(run, '..'), { recursive: true });
  const first = begin(coordinator, folder);
  const workers = [begin(worker, folder), begin(worker, folder)];
  const all = () => [first, ...workers].map(({ said }) => said()).join('\n');
  await until('epoch 5', () => epochOf(run) >= 5).catch((error) => assert.fail(`${error.message}\n${all()}`));
  first.kill('SIGKILL');
  await first.ended;
  const second = begin(coordinator, folder);
  await until('a result', () => resultOf(run)).catch((error) =>
    assert.fail(`${error.message}\n${second.said()}\n${all()}`),
  );
  assert.equal(ofType(eventsOf(run), 'resume').length, 1, 'the second start did not resume');
  assert.deepEqual(resultHashes(run), expected);
  second.kill('SIGTERM');
  await second.ended;
  for (const each of workers) {
    // The coordinator has sent it home.
    const how = await Promise.race([each.ended, sleep(1000 * patience(10), 'still there', { ref: false })]);
    assert.equal(how, 0, each.said());
  }
}
