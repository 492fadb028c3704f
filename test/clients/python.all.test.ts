// The Python client with all that it can use: its own tests on one version of Python, and a short one on each other version.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { CLIENT, environment, folder, python, pythons, TESTS } from './pythons.ts';

/** What all tests need; the other versions need numpy alone. */
const ALL = [
  ...['numpy==2.4.6', 'pandas==3.1.1', 'pyarrow==26.0.1', 'scikit-learn==1.9.1', 'mypy==2.4.1'],
  ...['hatchling==1.33.0', 'nbclient==0.11.0', 'ipykernel==7.4.0'],
  ...['onnx==1.23.2', 'onnxruntime==1.32.0', 'ray[default]==2.60.0'],
];
/** AnnData does not go with the pandas above. */
const CELLS = ['numpy==2.4.6', 'pandas==2.3.3', 'scipy==1.17.1', 'anndata==0.12.19'];
/** There are none of these for Python 3.10: there the last ones that there are. */
const packagesFor = (version: string, packages = ALL) =>
  version === '3.10' ? packages.map((name) => name.split('==')[0]) : packages;

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
      const isOfCells = name === 'test_cells.py';
      const path = isOfCells ? await environment(firstPath, first, packagesFor(first, CELLS)) : main;
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
