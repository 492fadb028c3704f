import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NotAvailable, note } from './dpmesh.ts';
import { ROOT } from './processes.ts';

const run = promisify(execFile);
const HERE = join(ROOT, 'test', 'bench');
const SCRIPTS = join(HERE, 'python');

/** A venv for scripts of test/bench/python. */
interface Environment {
  /** Its folder in test/bench/. */
  venv: string;
  /** The file in test/bench/python with its packages. */
  requirements: string;
  /** What these are, for people. */
  packages: string;
  /** A Python that has them already, which is used in place of the venv. */
  own?: string;
}

const LEARN: Environment = {
  venv: '.venv',
  requirements: 'requirements.txt',
  packages: 'scikit-learn, umap-learn and others',
};

/** Large, so in a venv of its own, which only rows that need it create. */
export const TORCH: Environment = {
  venv: '.venv-torch',
  requirements: 'requirements-torch.txt',
  packages: 'PyTorch',
  own: process.env.TORCH_PYTHON,
};

/** Runs a script of test/bench/python in a venv, created on first use, and parses its last line as JSON. */
export async function python<T>(
  script: string,
  args: (string | number)[],
  threads: number,
  environment = LEARN,
): Promise<T> {
  const bin = await makeVenv(environment);
  // A core type or cache size forced on OpenBLAS would slow scikit-learn down.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('OPENBLAS'));
  const counts = ['OMP', 'OPENBLAS', 'NUMBA'].map((name) => [`${name}_NUM_THREADS`, String(threads)]);
  const env = Object.fromEntries([...own, ...counts]);
  const { stdout } = await run(bin, [join(SCRIPTS, script), ...args.map(String)], {
    env,
    timeout: 60 * 60_000,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** The Python of this venv, which is created if it is missing or has other packages. NotAvailable if that fails. */
export async function makeVenv({ venv, requirements, packages, own }: Environment = LEARN): Promise<string> {
  if (own) return own;
  const folder = join(HERE, venv);
  const bin = join(folder, 'bin/python');
  /** Has the requirements that are installed. */
  const done = join(folder, 'installed');
  const wanted = readFileSync(join(SCRIPTS, requirements), 'utf8');
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return bin;
  note(`creating test/bench/${venv} with ${packages} …`);
  try {
    await run(process.env.PYTHON ?? 'python3', ['-m', 'venv', '--clear', folder]);
    await run(bin, ['-m', 'pip', 'install', '--quiet', '-r', join(SCRIPTS, requirements)]);
  } catch (error) {
    const reason = (error as Error).message.trim().split('\n').at(-1);
    throw new NotAvailable(`no Python with ${packages}: ${reason}`);
  }
  writeFileSync(done, wanted);
  return bin;
}
