// Pythons of this machine, with the client in their path and packages in virtual environments that are kept.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { MAIN, ROOT } from '../bench/processes.ts';
import { dpmesh, scratch } from '../e2e/support.ts';
import { once } from '../once.ts';

export const CLIENT = join(ROOT, 'clients/python');
export const TESTS = join(CLIENT, 'tests');
const VERSIONS = ['3.10', '3.11', '3.12', '3.13'];

export const NONE = 'there is no Python 3.10 to 3.13 with venv';

export const folder = scratch();

/** Begins the paths of what is kept for the next tests. */
const SHARED = join(tmpdir(), `dpmesh-python-${process.getuid?.()}`);

/** Pythons of pyenv, which are not all on the PATH. */
function pyenvPythons(): string[] {
  const root = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  return existsSync(root) ? readdirSync(root).map((name) => join(root, name, 'bin/python')) : [];
}

export interface Python {
  version: string;
  path: string;
}

/**
 * The Pythons that can be used: the oldest and the newest version, and `main`, which is what `python3` is if that is new enough; null if
 * there is none.
 */
export function pythons(): Record<'oldest' | 'main' | 'newest', Python> | null {
  const found = installed();
  if (!found.size) return null;
  const of = (version: string): Python => ({ version, path: found.get(version)! });
  const [main] = found.keys();
  const inOrder = VERSIONS.filter((version) => found.has(version));
  return { oldest: of(inOrder[0]), main: of(main), newest: of(inOrder.at(-1)!) };
}

/** Paths by version, that of `python3` first. */
function installed(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of ['python3', ...VERSIONS.map((version) => `python${version}`), ...pyenvPythons()])
    try {
      const script =
        'import sys, venv, ensurepip; print(*sys.version_info[:2], sep="."); print(sys.executable)';
      const [version, path] = execFileSync(name, ['-c', script], {
        encoding: 'utf8',
        stdio: 'pipe',
      }).split('\n');
      if (VERSIONS.includes(version) && !found.has(version)) found.set(version, path);
    } catch {
      // Not there, or without what makes an environment.
    }
  return found;
}

const run = promisify(execFile);

/**
 * Where this process runs commands, a line of JSON each: Python's tests fit a hundred times, and the first fit of a process costs
 * as much as the next four.
 */
const COMMANDS = join(folder, 'commands');
createServer(async (socket) => {
  process.env.DPMESH_MESSAGES = 'python';
  for await (const line of createInterface({ input: socket })) {
    const { args, cwd } = JSON.parse(line);
    const { code, stdout, stderr } = await dpmesh(args, { cwd });
    socket.write(`${JSON.stringify({ code, stdout, stderr })}\n`);
  }
})
  .listen(COMMANDS)
  .unref();

/** Runs a Python with the client in its path; fails with what it printed. Resolves with that. */
export async function python(path: string, ...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    DPMESH: MAIN,
    DPMESH_TEST_COMMANDS: COMMANDS,
    PYTHONPATH: join(CLIENT, 'src'),
    // What is imported is compiled once, and nothing is written beside sources.
    PYTHONPYCACHEPREFIX: `${SHARED}-compiled`,
    // Another session may use the same folder.
    IPYTHONDIR: join(folder, 'ipython'),
  };
  try {
    const { stdout, stderr } = await run(path, args, {
      cwd: TESTS,
      env,
      timeout: 1_200_000,
      maxBuffer: 1 << 26,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr, message } = error as Error & { stdout?: string; stderr?: string };
    assert.fail(`${message}\n${stdout ?? ''}${stderr ?? ''}`);
  }
}

/** The Python of an environment with these packages, which is made once. */
export async function environment({ path, version }: Python, packages: string[]): Promise<string> {
  // There are none of these for Python 3.10: there the last ones that there are.
  const wanted = version === '3.10' ? packages.map((name) => name.split('==')[0]) : packages;
  const hash = createHash('sha256').update(wanted.join()).digest('hex').slice(0, 8);
  const home = `${SHARED}-${version}-${hash}`;
  await once(home, async (made) => {
    await python(path, '-m', 'venv', made);
    await python(join(made, 'bin/python'), '-m', 'pip', 'install', '-q', '--no-compile', ...wanted);
  });
  return join(home, 'bin/python');
}

/** What all tests need but test_cells.py. */
export const ALL = [
  ...['numpy==2.4.6', 'pandas==3.1.1', 'pyarrow==26.0.1', 'scikit-learn==1.9.1', 'mypy==2.4.1'],
  ...['hatchling==1.33.0', 'nbclient==0.11.0', 'ipykernel==7.4.0'],
  ...['onnx==1.23.2', 'onnxruntime==1.32.0', 'ray==2.60.0'],
];
/** What that needs: AnnData does not go with the pandas above. */
export const CELLS = ['numpy==2.4.6', 'pandas==2.3.3', 'scipy==1.17.1', 'anndata==0.12.19'];

/** Runs test files of the client. */
export async function assertPassed(path: string, ...names: string[]): Promise<void> {
  const printed = await python(path, '-m', 'unittest', ...names);
  assert.match(printed, /^Ran [1-9]\d* tests? /m);
  assert.match(printed, /^OK$/m, printed);
}
