// The packed package, installed in an empty folder: strict TypeScript, plain JavaScript, and the programs of the docs.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { before, describe, test } from 'node:test';
import { assertNoneLeft, dpmesh, easyData, jsonOf, scratch, sha256, trainArgs } from './support.ts';

const folder = scratch();
const app = join(folder, 'app');
const installed = join(app, 'node_modules/dpmesh');
const root = resolve('.');

/** Runs a program in the application's folder and asserts that none of its processes is left. */
async function program(args: string[]) {
  const run = spawnSync(process.execPath, args, {
    cwd: app,
    encoding: 'utf8',
    timeout: 120_000,
    detached: true,
  } as never);
  await assertNoneLeft(run.pid, 2);
  return run;
}

const put = (name: string, text: string) => writeFileSync(join(app, name), text);

/** Packages that an installation has: those of the lock file that are not for development alone. */
function productionPackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries<{ dev?: true }>(packages)
    .filter(
      ([path, { dev }]) =>
        /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !dev && existsSync(join(root, path)),
    )
    .map(([path]) => path);
}

before(() => {
  mkdirSync(installed, { recursive: true });
  // Without scripts: `prepare` would rebuild files that other tests are using.
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const tarball = execFileSync('npm', args, { cwd: root, encoding: 'utf8', timeout: 240_000 }).trim();
  execFileSync('tar', ['-xf', join(folder, tarball), '-C', installed, '--strip-components=1']);
  // As npm would, from what is here already; its own are what it may import.
  for (const path of productionPackages()) {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    symlinkSync(join(root, path), join(app, path));
  }
  put('package.json', '{"name":"app","type":"module","private":true}');
  put(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        ...{ strict: true, module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022' },
        ...{ skipLibCheck: false, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
      },
      include: ['*.ts'],
    }),
  );
});

/** The programs in the code blocks of a page, by the file name on their first line. */
function programsIn(page: string): Map<string, string> {
  const blocks = readFileSync(page, 'utf8').matchAll(/^```(?:js|ts)\n(\/\/ (\S+)\n[\s\S]*?)^```$/gm);
  return new Map([...blocks].map(([, text, name]) => [name, text]));
}

const filesIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('the package', () => {
  test('has no sources, maps or tests', () => {
    const files = filesIn(installed).map((file) => relative(installed, file));
    assert.ok(files.includes('dist/index.js') && files.includes('dist/index.d.ts'));
    assert.ok(files.includes('LICENSE') && files.includes('README.md'));
    const sources = files.filter((file) => /\.map$|(?<!\.d)\.ts$|^(test|bench)\//.test(file));
    assert.deepEqual(sources, []);
    const described = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    assert.ok(described.keywords.length > 3);
  });

  test('imports only packages that it depends on', () => {
    const about = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    const { dependencies, optionalDependencies, peerDependencies } = about;
    const known = { ...dependencies, ...optionalDependencies, ...peerDependencies };
    const imported = filesIn(join(installed, 'dist'))
      .filter((file) => file.endsWith('.js') && !file.includes('/dist/web/'))
      .flatMap((file) =>
        [
          ...readFileSync(file, 'utf8').matchAll(
            /^(?:import|export)\b[^'"\n]* from ['"]([^.'"][^'"]*)['"]|\bimport\(['"]([^.'"][^'"]*)['"]\)/gm,
          ),
        ].map(([, name, dynamic]) => name ?? dynamic),
      )
      .filter((name) => !name.startsWith('node:'))
      .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0]);
    const missing = [...new Set(imported)].filter((name) => !Object.hasOwn(known, name) && !isBuiltin(name));
    assert.deepEqual(missing, []);
    assert.ok(imported.includes('zeromq'));
  });

  test('brings no TensorFlow, but finds the tfjs-node-gpu beside it', async () => {
    const peer = join(app, 'node_modules/@tensorflow/tfjs-node-gpu');
    assert.ok(!existsSync(peer));
    mkdirSync(peer);
    writeFileSync(join(peer, 'package.json'), '{"name":"@tensorflow/tfjs-node-gpu","version":"4.22.0"}');
    try {
      const { data } = easyData(folder, 'peer', 600);
      const main = join(installed, 'dist/cli/main.js');
      const ran = await program([main, 'train', '--data', data, '--out', 'peer', '--backend', 'tensorflow']);
      assert.equal(ran.status, 2, ran.stderr);
      assert.match(
        ran.stderr,
        /tfjs-node-gpu 4\.22\.0 has no binding in lib\/; build it, or run: dpmesh setup/,
      );
    } finally {
      rmSync(peer, { recursive: true });
    }
  });

  test('brings no client of Kafka, and says how to install it', async () => {
    const main = join(installed, 'dist/cli/main.js');
    const ran = await program([main, 'follow', 'run', '--data', 'kafka://127.0.0.1:1/rows']);
    assert.equal(ran.status, 2, ran.stderr);
    assert.match(ran.stderr, /^dpmesh: --data kafka:.* npm install @platformatic\/kafka@1\n$/);
  });

  test('has every file that its pages link to', () => {
    const pages = filesIn(installed).filter((file) => file.endsWith('.md') && !file.includes('node_modules'));
    const dead = pages.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => target)
        .filter((target) => !existsSync(join(dirname(page), target)))
        .map((target) => `${relative(installed, page)}: ${target}`),
    );
    assert.deepEqual(dead, []);
  });
});

describe('from strict TypeScript', () => {
  test('compiles, writes nothing to stdout or stderr, and gives the same bytes as the command line', async () => {
    const { data, labels } = easyData(folder, 'easy', 600);
    put(
      'use.ts',
      `import { AbortError, evaluate, predict, train, UserError } from 'dpmesh';
const [data, labels] = process.argv.slice(2);
const options = { data, labels, workers: 2, seed: 0, report: false, splitMergeEvery: 3, batchSize: 16 };
const run = train({ ...options, out: 'a' });
const types = new Set<string>();
let epochs = 0;
for await (const event of run) {
  types.add(event.type);
  if (event.type === 'epoch') epochs += event.k >= 1 ? 1 : 0;
}
const result = await run;
const rows: Int32Array = result.labels;
const { labels: again, responsibilities } = await predict({ run: result.directory, data, soft: true });
const scores = await evaluate({ pred: rows, labels });
const aborted = await train({ ...options, out: 'b', signal: AbortSignal.abort('because') }).catch((error: unknown) => error);
const rejected = await train({ data: 'nowhere.npy' }).catch((error: unknown) => error);
// @ts-expect-error: no such option
const misspelt = await train({ data, maxEpoch: 3 }).catch((error: unknown) => error);
const message = (error: unknown) => (error instanceof UserError ? error.message : 'another error');
const outcome = {
  epochs, types: [...types], k: result.k, equal: rows.every((label, i) => label === again[i]),
  soft: responsibilities?.length === rows.length * result.k, scores, own: result.scores,
  aborted: aborted instanceof AbortError && aborted.cause, rejected: message(rejected), misspelt: message(misspelt),
};
const { writeFileSync } = await import('node:fs');
writeFileSync('outcome.json', JSON.stringify(outcome));
`,
    );
    const compiled = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], {
      cwd: app,
      encoding: 'utf8',
    });
    assert.equal(compiled.status, 0, compiled.stdout);
    const ran = await program(['use.js', data, labels]);
    assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
    const outcome = JSON.parse(readFileSync(join(app, 'outcome.json'), 'utf8'));
    assert.ok(outcome.epochs > 5);
    for (const type of ['start', 'worker', 'epoch', 'split', 'step', 'end', 'done'])
      assert.ok(outcome.types.includes(type), type);
    assert.ok(outcome.equal && outcome.soft);
    const { nmi, ari, acc } = outcome.scores;
    assert.deepEqual({ ...outcome.own, silhouette: 0 }, { nmi, ari, acc, silhouette: 0 });
    assert.equal(outcome.aborted, 'because');
    assert.match(outcome.rejected, /nowhere\.npy cannot be read: no such file/);
    assert.match(outcome.misspelt, /no option maxEpoch; did you mean maxEpochs\?/);
    assert.ok(!existsSync(join(app, 'b')));

    const cli = join(folder, 'cli');
    const flags = ['--split-merge-every', 3, '--batch-size', 16, '--seed', 0, '--labels', labels];
    jsonOf(await dpmesh(trainArgs(data, cli, ...flags)));
    for (const name of ['labels.npy', 'model/model.safetensors'])
      assert.equal(sha256(join(app, 'a', name)), sha256(join(cli, name)), name);
  });
});

describe('from a program in a command-line argument of Node.js', () => {
  test('worker processes do not run that program again', async () => {
    const { data } = easyData(folder, 'small', 600);
    const text = `import { train } from 'dpmesh';
const { k } = await train({ data: ${JSON.stringify(data)}, workers: 1, maxEpochs: 3, out: 'eval', shards: 2 });
process.exitCode = k >= 1 ? 7 : 1;`;
    const ran = await program(['--input-type=module', '--eval', text]);
    assert.equal(ran.status, 7, ran.stderr);
    assert.ok(existsSync(join(app, 'eval/report/report.html')));
  });
});

describe('the programs of docs/library.md', () => {
  const programs = programsIn(join(root, 'docs/library.md'));

  test('are three, and compile, as does that of the README', () => {
    assert.deepEqual([...programs.keys()], ['cluster.mjs', 'memory.mjs', 'resume.ts']);
    for (const [name, text] of programs) put(name, text);
    const [, inReadme] = /^## The library\n+```ts\n([\s\S]*?)^```$/m.exec(
      readFileSync(join(root, 'README.md'), 'utf8'),
    )!;
    put('readme.ts', inReadme);
    const compiled = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], {
      cwd: app,
      encoding: 'utf8',
    });
    assert.equal(compiled.status, 0, compiled.stdout);
  });

  for (const [name, says] of [
    ['cluster.mjs', /^6 clusters of (\d+, ){5}\d+ rows; results in runs\/easy\n$/],
    [
      'memory.mjs',
      /^K 5, NMI (0\.9\d+|1\.000) of at most .*\n400 new rows, \d+ of them less than 90 % sure\n$/,
    ],
    [
      'resume.ts',
      /^stopped after \d+ epochs, without a result\nK \d; the first mean is .*\n(seed \d: K \d.*\n){3}$/,
    ],
  ] as const)
    test(`${name} runs unchanged`, async () => {
      put(name, programs.get(name)!);
      const ran = await program([name.replace('.ts', '.js'), join(folder, 'easy.npy')]);
      assert.equal(ran.status, 0, ran.stderr);
      assert.match(ran.stdout, says);
    });
});
