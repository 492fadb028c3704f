import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NotAvailable, note } from './dpmesh.ts';
import { ROOT } from './processes.ts';

const run = promisify(execFile);
const HERE = join(ROOT, 'bench');
const VENV = join(HERE, '.venv');
const BIN = join(VENV, 'bin/python');
const REQUIREMENTS = join(HERE, 'requirements.txt');
/** Has the requirements that are installed. */
const DONE = join(VENV, 'installed');

/** Runs a script of this folder in the venv of the benchmarks, created on first use, and parses its last line as JSON. */
export async function python<T>(script: string, args: (string | number)[], threads: number): Promise<T> {
  await makeVenv();
  // A core type or cache size forced on OpenBLAS would slow scikit-learn down.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('OPENBLAS'));
  const count = String(threads);
  const env = { ...Object.fromEntries(own), OMP_NUM_THREADS: count, OPENBLAS_NUM_THREADS: count };
  const { stdout } = await run(BIN, [join(HERE, script), ...args.map(String)], { env, timeout: 20 * 60_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

export async function makeVenv(): Promise<void> {
  const wanted = readFileSync(REQUIREMENTS, 'utf8');
  if (existsSync(DONE) && readFileSync(DONE, 'utf8') === wanted) return;
  note('creating bench/.venv with scikit-learn, umap-learn and others …');
  const python = process.env.PYTHON ?? 'python3';
  try {
    await run(python, ['-m', 'venv', '--clear', VENV]);
    await run(BIN, ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS]);
  } catch (error) {
    throw new NotAvailable(
      `no Python with scikit-learn: ${(error as Error).message.trim().split('\n').at(-1)}`,
    );
  }
  writeFileSync(DONE, wanted);
}
