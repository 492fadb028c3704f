import { type ChildProcess, spawn } from 'node:child_process';
import { UserError } from '../../../base/user-error.ts';

/** Lines of a failed program that are shown. */
const LAST_LINES = 12;

const running = new Set<ChildProcess>();
let stopping = false;

/** Ends the program under way; none is started any more. */
export function stopPrograms(): void {
  stopping = true;
  for (const child of running) child.kill();
}

/** Runs a program to its end. UserError with its last lines if it fails, `remedy` behind them. */
export function runProgram(
  command: string,
  args: string[],
  { cwd, env, remedy }: { cwd?: string; env?: NodeJS.ProcessEnv; remedy: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stopping) return reject(new UserError('stopped'));
    // npm is a script on Windows, which only a shell starts.
    const shell = process.platform === 'win32' && command === 'npm';
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      shell,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let said = '';
    const keep = (text: Buffer) => {
      said = (said + text).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) =>
      reject(new UserError(`${command} cannot be started: ${error.message}; ${remedy}`)),
    );
    child.once('close', (code, signal) => {
      running.delete(child);
      if (code === 0 && !stopping) return resolve();
      if (stopping) return reject(new UserError('stopped'));
      const last = said
        .trim()
        .split(/\r?\n|\r/)
        .slice(-LAST_LINES)
        .join('\n    ');
      reject(new UserError(`${command} failed (${signal ?? `exit ${code}`}); ${remedy}\n    ${last}`));
    });
  });
}

/** Does this command end with 0? */
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

/** Shows a step when it begins, and how long it took. */
export async function shown<T>(title: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  process.stderr.write(`${title} … `);
  try {
    const found = await work();
    process.stderr.write(`${((performance.now() - begun) / 1000).toFixed(1)} s\n`);
    return found;
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  }
}
