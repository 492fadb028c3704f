// The Python client with all that it can use: its own tests on one version of Python, and a short one, with scipy and AnnData, on the newest. That
// with numpy alone, on the oldest, is python.test.ts; that with Ray is a file of its own, which runs beside these.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  ALL,
  assertPassed,
  CELLS,
  CLIENT,
  environment,
  folder,
  NONE,
  python,
  pythons,
  TESTS,
} from './pythons.ts';

/** They share the process that runs their commands. */
const TOGETHER = readdirSync(TESTS).filter(
  (name) => /^test_.*\.py$/.test(name) && !['test_cells.py', 'test_ray.py'].includes(name),
);
const versions = pythons();
describe('Python client', { skip: versions ? false : NONE }, () => {
  let main: string;
  before(async () => {
    main = await environment(versions!.main, ALL);
  });

  test(`its tests on Python ${versions?.main.version}`, () => assertPassed(main, ...TOGETHER));

  test(`sparse matrices, AnnData and a fit on Python ${versions?.newest.version}`, async () => {
    const newest = await environment(versions!.newest, CELLS);
    await assertPassed(newest, 'test_cells.py', 'test_estimator.Fitted');
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
});
