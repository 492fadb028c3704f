// The Python client on each version of Python that is here: its own tests, in a virtual environment that is kept.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { MAIN, ROOT } from '../../bench/processes.ts';
import { scratch } from '../e2e/support.ts';

const CLIENT = join(ROOT, 'clients/python');
const TESTS = join(CLIENT, 'tests');
const VERSIONS = ['3.10', '3.11', '3.12', '3.13'];
/** What all tests need; the other versions need numpy alone. */
const ALL = [
  ...['numpy==2.4.6', 'pandas==3.1.1', 'pyarrow==26.0.1', 'scikit-learn==1.9.1', 'mypy==2.4.1'],
  ...['hatchling==1.33.0', 'nbclient==0.11.0', 'ipykernel==7.4.0'],
];
/** AnnData does not go with the pandas above. */
const CELLS = ['numpy==2.4.6', 'pandas==2.3.3', 'scipy==1.17.1', 'anndata==0.12.19'];
/** There are none of these for Python 3.10: there the last ones that there are. */
const packagesFor = (version: string, packages = ALL) =>
  version === '3.10' ? packages.map((name) => name.split('==')[0]) : packages;

const folder = scratch();

/** Pythons of pyenv, which are not all on the PATH. */
function pyenvPythons(): string[] {
  const root = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions');
  return existsSync(root) ? readdirSync(root).map((name) => join(root, name, 'bin/python')) : [];
}

/** The Pythons that can be used, by version; first the one that `python3` is, if that is new enough. */
function pythons(): Map<string, string> {
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

/** Runs a Python with the client in its path; fails with what it printed. Resolves with that. */
async function python(path: string, ...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    DPMESH: MAIN,
    PYTHONPATH: join(CLIENT, 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
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
async function environment(base: string, version: string, packages: string[]): Promise<string> {
  const hash = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8);
  const home = join(tmpdir(), `dpmesh-python-${process.getuid?.()}-${version}-${hash}`);
  if (!existsSync(home)) {
    const made = `${home}.${process.pid}`;
    await python(base, '-m', 'venv', made);
    await python(join(made, 'bin/python'), '-m', 'pip', 'install', '-q', ...packages);
    try {
      renameSync(made, home);
    } catch {
      // Another process was first.
      rmSync(made, { recursive: true });
    }
  }
  return join(home, 'bin/python');
}

const versions = pythons();
const [[first, firstPath] = ['', '']] = versions;
describe('Python client', {
  skip: versions.size ? false : 'there is no Python 3.10 to 3.13 with venv',
}, () => {
  let main: string;
  before(async () => {
    main = await environment(firstPath, first, packagesFor(first));
  });

  for (const name of readdirSync(TESTS).filter((name) => /^test_.*\.py$/.test(name)))
    test(`${name} on Python ${first}`, async () => {
      const cells = name === 'test_cells.py' && packagesFor(first, CELLS);
      const path = cells ? await environment(firstPath, first, cells) : main;
      const printed = await python(path, '-m', 'unittest', name);
      assert.match(printed, /^Ran [1-9]\d* tests? /m);
      assert.match(printed, /^OK$/m, printed);
    });

  test('types', async () => {
    await python(main, '-m', 'mypy', '--config-file', join(CLIENT, 'pyproject.toml'), join(CLIENT, 'src'));
  });

  test('the wheel has all modules, and says that it is typed', async () => {
    const flags = ['--no-deps', '--no-build-isolation', '-q', '-w', folder];
    await python(main, '-m', 'pip', 'wheel', ...flags, CLIENT);
    const [wheel] = readdirSync(folder).filter((name) => name.endsWith('.whl'));
    const names = await python(main, '-m', 'zipfile', '-l', join(folder, wheel));
    for (const name of [...readdirSync(join(CLIENT, 'src/dpmesh'))].filter((name) => name !== '__pycache__'))
      assert.ok(names.includes(`dpmesh/${name} `), `${name} is missing:\n${names}`);
  });

  for (const [version, path] of [...versions].slice(1))
    test(`with numpy alone, on Python ${version}`, async () => {
      const other = await environment(path, version, ['numpy']);
      assert.match(await python(other, '-m', 'unittest', 'test_estimator.Fitted'), /^OK$/m);
    });
});
