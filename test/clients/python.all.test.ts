// The Python client with all that it can use: its own tests on one version of Python, and a short one on each other version. That with Ray
// is a file of its own, which runs beside these.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  assertPassed,
  CELLS,
  CLIENT,
  environment,
  folder,
  packagesFor,
  python,
  pythons,
  TESTS,
} from './pythons.ts';

/** They share the process that runs their commands. */
const TOGETHER = readdirSync(TESTS).filter(
  (name) => /^test_.*\.py$/.test(name) && !['test_cells.py', 'test_ray.py'].includes(name),
);
const versions = pythons();
const [[first, firstPath] = ['', '']] = versions;
describe('Python client', {
  skip: versions.size ? false : 'there is no Python 3.10 to 3.13 with venv',
}, () => {
  let main: string;
  before(async () => {
    main = await environment(firstPath, first, packagesFor(first));
  });

  test(`its tests on Python ${first}`, () => assertPassed(main, ...TOGETHER));

  test(`test_cells.py on Python ${first}`, async () => {
    await assertPassed(await environment(firstPath, first, packagesFor(first, CELLS)), 'test_cells.py');
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
