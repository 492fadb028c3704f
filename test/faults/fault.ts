import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN, ROOT } from '../../bench/dpmesh.ts';
import { randomNumbers } from '../coordinator/support.ts';

/** What the commands of this folder share: flags, the line at the end, processes to kill, the bytes of a run. */

// What is set up on this machine must not change what these runs compute with.
process.env.XDG_DATA_HOME = join(ROOT, 'bench', 'no-backends');

/** `--seed N` and the like: a number behind a flag of the command line. */
export function numberFlag(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return otherwise;
  const value = Number(process.argv[at + 1] || Number.NaN);
  if (!Number.isFinite(value)) throw new Error(`--${name} needs a number`);
  return value;
}

export const seed = numberFlag('seed', 0);
export const short = process.argv.includes('--short');
export const random = randomNumbers(seed);

export const say = (text: string) => console.error(text);

/** What every command ends with: one JSON line on stdout. */
export interface Outcome {
  /** The name of its file. */
  name: string;
  what: string;
  asked: string;
  measured: string;
  /** Null: skipped, or done in part; `measured` says why. */
  ok: boolean | null;
}

export function report(outcome: Outcome): void {
  console.log(JSON.stringify(outcome));
  process.exitCode = outcome.ok === false ? 1 : 0;
}

/** Ends the command where this machine cannot do what it needs. */
export function skip(about: Pick<Outcome, 'name' | 'what' | 'asked'>, reason: string): never {
  report({ ...about, measured: `skipped: ${reason}`, ok: null });
  process.exit(0);
}

/** `{ unitsRaced: 1000 }` as "units raced 1,000". */
export const inWords = (seen: Record<string, number>): string =>
  Object.entries(seen)
    .map(
      ([what, times]) =>
        `${what.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)} ${times.toLocaleString('en')}`,
    )
    .join(', ');

export interface Started {
  pid: number;
  stderr(): string;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** SIGKILL for the coordinator and its workers; resolves when it is gone. */
  killAll(): Promise<void>;
}

const living = new Set<number>();
// Groups of their own outlive this process unless somebody ends them.
process.once('exit', () => living.forEach(killGroup));

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** The built command line as the leader of a process group of its own; `before`: a command that starts it, if any. */
export function start(args: (string | number)[], before: string[] = []): Started {
  const [program, ...rest] = [...before, process.execPath, MAIN, ...args.map(String)];
  const child = spawn(program, rest, { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid!;
  living.add(pid);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (code) => {
      living.delete(pid);
      resolve({ code, stdout, stderr });
    });
  });
  return {
    pid,
    stderr: () => stderr,
    ended,
    async killAll() {
      killGroup(pid);
      await ended;
    },
  };
}

/** Runs it to its end; throws unless it ends well. */
export async function run(args: (string | number)[]): Promise<string> {
  const { code, stdout, stderr } = await start(args).ended;
  if (code !== 0)
    throw new Error(`dpmesh ${args[0]} ended with ${code}: ${stderr.trim().split('\n').at(-1)}`);
  return stdout;
}

/** Waits until `check` holds, for a minute at most. */
export async function until(what: string, check: () => boolean): Promise<void> {
  for (const begun = performance.now(); !check(); await sleep(5))
    if (performance.now() - begun > 60_000) throw new Error(`waited in vain for ${what}`);
}

export const checkpointsOf = (dir: string) =>
  existsSync(join(dir, 'checkpoints'))
    ? readdirSync(join(dir, 'checkpoints')).filter((name) => name.endsWith('.ckpt'))
    : [];

/** One hash of all that may not depend on how the run went: labels, model, mixture. */
export function bytesOf(dir: string): string {
  const names = ['model', 'mixture'].flatMap((folder) =>
    readdirSync(join(dir, folder))
      .sort()
      .map((name) => join(folder, name)),
  );
  const sum = createHash('sha256');
  for (const name of ['labels.npy', ...names]) sum.update(name).update(readFileSync(join(dir, name)));
  return sum.digest('hex');
}
