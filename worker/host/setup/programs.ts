import { type ChildProcess, spawn } from 'node:child_process';
import { UserError } from '../../../base/user-error.ts';

/** Lines of a failed program's output that go into the error. */
const LAST_LINES = 12;
/** Characters of a program's output that are kept. */
const KEPT_OUTPUT = 20_000;

const running = new Set<ChildProcess>();
let stopping = false;

/** Kills the running programs; no more are started. */
export function stopPrograms(): void {
  stopping = true;
  for (const child of running) child.kill();
}

/** Runs a program to its end. If it fails: a UserError with `remedy` and the last lines of its output. */
export function runProgram(
  command: string,
  args: string[],
  { cwd, env, remedy }: { cwd?: string; env?: NodeJS.ProcessEnv; remedy: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stopping) return reject(new UserError('stopped'));
    // On Windows npm is a script, which only a shell can start.
    const shell = process.platform === 'win32' && command === 'npm';
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let output = '';
    const keep = (text: Buffer) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) =>
      reject(new UserError(`cannot start ${command}: ${error.message}; ${remedy}`)),
    );
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0 && !stopping) return resolve();
      if (stopping) return reject(new UserError('stopped'));
      const last = output
        .trim()
        .split(/\r?\n|\r/)
        .slice(-LAST_LINES)
        .join('\n    ');
      reject(new UserError(`${command} failed (${signal ?? `exit ${code}`}); ${remedy}\n    ${last}`));
    });
  });
}

/** Does this command exit with 0? */
export function works(command: string, ...args: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: 'ignore',
      shell: process.platform === 'win32' && command === 'npm',
    });
    child.once('error', () => resolve(false));
    child.once('close', (code) => resolve(code === 0));
  });
}

/** Runs a step of the setup: prints its title first, then the seconds it took, or that it failed. */
export async function withProgress<T>(title: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  process.stderr.write(`${title} … `);
  try {
    const result = await work();
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
    return result;
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
}
