import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { makeKeys } from '../../proto/key-files.ts';
import { columnMajor, elements, idxFile, npyFile } from '../data/files.ts';
import { called } from '../e2e/in-process.ts';
import { dpmesh, easyData, eventsOf, jsonOf, ofType, patience, QUICK, scratch } from '../e2e/support.ts';

const folder = scratch();
const N = 500;
const D = 4;
const values = Array.from({ length: N * D }, (_, i) =>
  Math.fround(((i * 7919 + i * i * 31) % 1009) / 300 + (i % (2 * D) < D ? 0 : 20)),
);
const put = (name: string, content: Uint8Array | string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
/** An .npy of float32 rows, some values changed. */
const table = (name: string, rows = values, shape = [rows.length / D, D]) =>
  put(`${name}.npy`, npyFile('<f4', shape, elements('f4', rows)));
const changed = (change: Record<number, number>) => values.map((value, i) => change[i] ?? value);
const everyRow = (change: (row: number[], i: number) => number[]) =>
  Array.from({ length: N }, (_, i) => change(values.slice(i * D, (i + 1) * D), i)).flat();

const ok = table('ok');
const complete = npyFile('<f4', [N, D], elements('f4', values));
const idx = idxFile(13, [N, D], elements('f4', values, true));
const classes = (name: string, count: number, path = `${name}.npy`) =>
  put(
    path,
    npyFile(
      '<i4',
      [count],
      elements(
        'i4',
        Array(count)
          .fill(0)
          .map((_, i) => i % 2),
      ),
    ),
  );

/** A sparse file of 100 rows × 60,000 columns. */
function sparse(): string {
  const path = join(folder, 'wide.npy');
  const file = openSync(path, 'w');
  const header = npyFile('<f4', [100, 60_000], Buffer.alloc(0));
  writeFileSync(file, header);
  ftruncateSync(file, header.length + 100 * 60_000 * 4);
  closeSync(file);
  return path;
}

/** Invalid and valid keys. */
const [openKeys, brokenKeys, goodKeys] = ['open', 'broken', 'good'].map((name) => join(folder, name));
makeKeys(openKeys, ['worker']);
chmodSync(join(openKeys, 'server.key'), 0o644);
for (const keys of [brokenKeys, goodKeys]) makeKeys(keys, ['worker']);
const otherKeys = join(folder, 'other');
makeKeys(otherKeys, ['worker', 'loose', 'mixed']);
chmodSync(join(otherKeys, 'loose.key'), 0o640);
const own = JSON.parse(readFileSync(join(otherKeys, 'worker.key'), 'utf8'));
const mixed = JSON.parse(readFileSync(join(otherKeys, 'mixed.key'), 'utf8'));
writeFileSync(join(otherKeys, 'mixed.key'), JSON.stringify({ ...mixed, secret: own.secret }));
const swappedKeys = join(folder, 'swapped');
makeKeys(swappedKeys, ['worker']);
renameSync(join(swappedKeys, 'worker.key'), join(swappedKeys, 'server.key'));
appendFileSync(join(brokenKeys, 'allowed'), 'worker\n');

/** A folder that is not a run, with a file whose name runs also use. */
const home = join(folder, 'home');
mkdirSync(home);
mkdirSync(join(folder, 'empty'));
classes('labels', 5, 'home/labels.npy');
const aRun = mkdtempSync(join(folder, 'a-run-'));
writeFileSync(join(aRun, 'run.json'), '{}');

interface RejectedCall {
  name: string;
  /** Parts of the message. */
  says: (string | RegExp)[];
  args: (string | number)[];
  /** Workers start before the error, so other lines may come before it. */
  withWorkers?: boolean;
}

const data = (
  name: string,
  path: string,
  says: RejectedCall['says'],
  ...more: (string | number)[]
): RejectedCall => ({
  name,
  says,
  args: ['train', '--data', path, '--out', 'run', ...more],
});
/** A call of any command, whose words have no blanks. */
const call = (name: string, says: RejectedCall['says'], line: string): RejectedCall => ({
  ...{ name, says, args: line.split(' ') },
});
const flags = (says: RejectedCall['says'], ...more: (string | number)[]): RejectedCall =>
  data(more.join(' ').replaceAll(folder, ''), ok, says, ...more);
const withWorkers = (call: RejectedCall): RejectedCall => ({
  ...call,
  args: [...call.args, '--workers', 1],
  withWorkers: true,
});

/** A folder in which no files can be created; some versions of Node.js never return from creating one. */
const noNames: RejectedCall[] = [
  call('keygen in /proc', ['/proc/nope', 'cannot be made'], 'keygen /proc/nope'),
  withWorkers(
    call('--out in /proc', ['--out /proc/nope cannot be written'], `train --data ${ok} --out /proc/nope`),
  ),
];

const rejectedCalls: RejectedCall[] = [
  withWorkers(
    data('NaN', table('nan', changed({ 30: Number.NaN, 33: Number.NaN })), [
      'nan.npy: 2 of 500 rows',
      'row 7, column 2 (counted from 0: NaN)',
    ]),
  ),
  withWorkers(
    data('infinite values', table('inf', changed({ 44: Infinity, 45: -Infinity, 1999: Infinity })), [
      'inf.npy: 2 of 500 rows',
      'infinite',
      'row 11, column 0 (counted from 0: Infinity)',
    ]),
  ),
  data('one dimension', table('one', values.slice(0, N), [N]), ['one.npy', '(500,)', 'reshape']),
  data('objects', put('obj.npy', npyFile('|O', [3], Buffer.alloc(60))), ['obj.npy', 'Python objects']),
  data('complex numbers', put('cplx.npy', npyFile('<c8', [N, D], Buffer.alloc(N * D * 8))), [
    'cplx.npy',
    'complex',
  ]),
  ...(
    [
      [
        'x1e300',
        1e300,
        [
          '500 of 500 rows have values larger than the supported maximum (1e18)',
          'row 0, column 1 (counted from 0: 1e300)',
        ],
      ],
      ['x1e30', 1e30, ['larger than the supported maximum (1e18)', '1e30', 'scale the data']],
      ['x1e-30', 1e-30, ['standard deviation', 'scale the data']],
      ['plus1e9', 0, ['float32 represents column ', 'mean 1e9', 'only in steps of 64']],
    ] as const
  ).map(([name, factor, says]) =>
    withWorkers(
      data(
        name,
        put(
          `${name}.npy`,
          npyFile(
            '<f8',
            [N, D],
            elements(
              'f8',
              values.map((v, i) => (factor ? (i % D === 1 ? 1 : v) * factor : v * 10 + 1e9)),
            ),
          ),
        ),
        [...says, `${name}.npy: `],
      ),
    ),
  ),
  data('one row', table('single', values.slice(0, D)), ['single.npy has 1 row', 'at least 2']),
  flags(['--init-k 501', '500 rows'], '--init-k', 501),
  withWorkers(
    data('fewer rows than columns', table('few', values.slice(0, 12)), ['few.npy', 'rank 2', 'pca:2']),
  ),
  withWorkers(data('equal rows', table('same', Array(N * D).fill(1)), ['500 rows are equal'])),
  data('truncated', put('trunc.npy', complete.subarray(0, 3000)), ['trunc.npy', 'truncated', '3000 found']),
  data('not an .npy', put('not.npy', 'hello'.repeat(100)), ['not.npy', 'not a NumPy file']),
  data('empty', put('empty.npy', ''), ['empty.npy', 'empty']),
  data('no rows', table('zero', [], [0, D]), ['zero.npy', 'no rows']),
  data('missing', join(folder, 'missing.npy'), ['missing.npy', 'no such file']),
  data('a folder', join(folder, 'empty'), ['is a folder']),
  data('IDX truncated', put('trunc.idx', idx.subarray(0, 2000)), ['trunc.idx', 'truncated']),
  data('CSV with a gap', put('gap.csv', 'a,b\n1,2\n3,nan\n'), ['gap.csv line 3, column b', 'missing']),
  data('CSV of words', put('words.csv', 'a,b\n1,2\n3,x\n'), ['words.csv', 'line 3']),
  withWorkers(
    data(
      'columns that repeat',
      table(
        'rank',
        everyRow(([a, b, c]) => [a, b, c, a]),
      ),
      ['rank.npy', 'rank 3', '--transform pca:3', '--covariance diag'],
    ),
  ),
  data('more columns than a sample can have', sparse(), ['wide.npy', '60000', '16384', '--covariance diag']),
  data(
    'more columns than memory',
    sparse(),
    ['wide.npy', '60000', 'GB', '--covariance diag'],
    ...['--likelihood', 'gaussian'],
  ),
  withWorkers(data('more axes than columns', ok, ['pca:99', '4 columns'], '--transform', 'pca:99')),
  withWorkers(
    data(
      'an infinite float16 among many columns',
      put(
        'half-inf.npy',
        npyFile(
          '<f2',
          [60, 384],
          // The largest finite number, and what larger ones become.
          elements(
            'u2',
            Array.from({ length: 60 * 384 }, (_, i) => (i === 7 * 384 + 300 ? 0x7c00 : 0x7bff - (i % 97))),
          ),
        ),
      ),
      ['half-inf.npy: 1 of 60 rows', 'row 7, column 300 (counted from 0: Infinity)', 'remove or fill'],
    ),
  ),
  withWorkers(
    data(
      'equal rows of many columns',
      put(
        'same128.npy',
        npyFile(
          '<f4',
          [50, 128],
          elements(
            'f4',
            Array.from({ length: 6400 }, (_, i) => i % 128),
          ),
        ),
      ),
      ['same128.npy', 'all 50 rows are equal'],
    ),
  ),
  call('no data', ['--data is missing'], 'train --out run'),

  flags(['499 labels', '500 rows'], '--labels', classes('lab', 499)),
  flags(['nope.npy', 'no such file'], '--labels', join(folder, 'nope.npy')),
  flags(['unknown flag --prior-nu'], '--prior-nu', 2),
  flags(['--lr -1', 'above 0'], '--lr=-1'),
  flags(['--lr', 'number'], '--lr', 'fast'),
  flags(['lr', 'needs a value'], '--lr'),
  flags(['epochz', '--max-epochs'], '--epochz', 3),
  flags(['worker', '--workers'], '--worker', 3),
  flags(['--hidden abc', '50,50'], '--hidden', 'abc'),
  flags(['--transform zca', 'pca:'], '--transform', 'zca'),
  flags(['covariance', 'full', 'diag'], '--covariance', 'round'),
  flags(['backend', 'auto', 'wasm', 'cpu', 'tensorflow', 'webgpu'], '--backend', 'nonesuch'),
  flags(['--seed 99999999999999999999'], '--seed', '99999999999999999999'),
  flags(['--max-epochs 0', 'at least 1'], '--max-epochs', 0),
  flags(['--workers 0', 'at least 1'], '--workers', 0),
  flags(['501', '500 rows'], '--shards', 501),
  flags(['nope.yaml', 'cannot be read'], '--config', join(folder, 'nope.yaml')),
  flags(['bad.yaml', 'maxEpoch', 'max-epochs'], '--config', put('bad.yaml', 'maxEpoch: 3\n')),
  flags(['seed.yaml', 'quotes'], '--config', put('seed.yaml', 'seed: 9007199254740993\n')),
  flags(['range.yaml', '--lr', 'above 0'], '--config', put('range.yaml', 'lr: 0\n')),
  ...[
    ['proto', '__proto__: {lr: 1}\n', 'unknown flag __proto__'],
    ['object', 'lr: {a: 1}\n', '--lr {"a":1} must be a number'],
    ['soft', 'soft: maybe\n', '--soft maybe must be yes or no'],
    ['workers', 'workers: 2\n', 'has workers', 'set --workers on the command line'],
    ['out', '{"noReport": true}', 'has noReport', 'set --no-report on the command line'],
    ['twice', 'subLr: 8\nsub-lr: 7\n', 'has both subLr and sub-lr', 'leave one out'],
    ['keys', 'lr: 1\nlr: 2\n', 'is neither YAML nor JSON', /[^:]$/],
    ['colons', 'a: b: c\n', 'is neither YAML nor JSON', /line 1, column \d+$/],
    ['empty', '# nothing\n', 'is empty', 'max-epochs: 100'],
    ['list', '- lr\n', 'has no flags', 'max-epochs: 100'],
    ['text', 'hello\n', 'has no flags'],
  ].map(([name, text, ...says]) =>
    flags([`${name}.yaml`, ...says], '--config', put(`${name}.yaml`, text as string)),
  ),
  flags(['nope.yaml cannot be read: no such file or folder'], '--config', join(folder, 'nope.yaml')),
  flags(['is a folder; pass a YAML or JSON file'], '--config', mkdtempSync(join(folder, 'no-run-'))),
  flags([/is a folder; pass \S+\/run\.json$/], '--config', aRun),
  flags(['--soft maybe must be yes or no'], '--soft=maybe'),
  flags(['--early-stop  must be yes or no'], '--earlyStop='),
  call('an --out that is a file', ['--out', 'not a directory'], `train --data ${ok} --out ${ok}`),
  call(
    '--bind that other machines can reach',
    ['tcp://0.0.0.0:5999', '--insecure'],
    `coordinator --data ${ok} --out run --bind tcp://0.0.0.0:5999`,
  ),
  call(
    '--keys with --insecure',
    ['--keys', '--insecure', 'leave one out'],
    `coordinator --data ${ok} --out run --keys ${folder} --insecure`,
  ),
  call(
    '--keys of a folder without keys',
    ['server.key', 'dpmesh keygen'],
    `coordinator --data ${ok} --out run --keys ${folder}`,
  ),
  call(
    '--keys of secrets that others can read',
    ['open/server.key', 'mode 0644', 'chmod 600'],
    `coordinator --data ${ok} --out run --keys ${openKeys}`,
  ),
  call(
    '--keys with a broken list',
    ['broken/allowed', 'line 3', 'name and a public key'],
    `coordinator --data ${ok} --out run --keys ${brokenKeys}`,
  ),
  call(
    '--key of the coordinator',
    ['broken/server.key', 'coordinator --keys', 'worker --key'],
    `worker --connect tcp://127.0.0.1:1 --key ${join(brokenKeys, 'server.key')}`,
  ),
  call(
    '--keys with a worker’s key in place of the coordinator’s',
    ['swapped/server.key', 'worker --key', 'coordinator --keys'],
    `coordinator --data ${ok} --out run --keys ${swappedKeys}`,
  ),
  call(
    '--key that its group can read',
    ['loose.key', 'mode 0640', 'chmod 600'],
    `worker --connect tcp://127.0.0.1:1 --key ${join(otherKeys, 'loose.key')}`,
  ),
  call(
    '--key of two halves',
    ['mixed.key', 'do not belong together', 'keygen'],
    `worker --connect tcp://127.0.0.1:1 --key ${join(otherKeys, 'mixed.key')}`,
  ),
  call(
    '--batch-size that is too large',
    ['--batch-size 1000000000', '1 to 1048576'],
    `train --data ${ok} --batch-size 1000000000`,
  ),
  call(
    '--key that does not exist',
    ['nope.key', 'dpmesh keygen'],
    `worker --connect tcp://127.0.0.1:1 --key ${join(folder, 'nope.key')}`,
  ),
  call('keygen for a worker that is there', ['worker is already in', 'allowed'], `keygen ${goodKeys}`),
  call('keygen for an invalid name', ['--workers ../x', 'A–Z'], 'keygen keys --workers a,../x'),
  call('keygen for an empty name', ['--workers', 'empty name', 'A–Z'], 'keygen keys --workers a,,b'),
  call('keygen at the path of a file', ['ok.npy', 'a file of that name exists'], `keygen ${ok}`),
  ...(existsSync('/proc/self') ? noNames : []),
  flags(['--http 9464', 'HOST:PORT'], '--http', '9464'),
  flags(['--http 0.0.0.0:0', '--http-token'], '--http', '0.0.0.0:0'),
  flags(['--linger -1', 'at least 0'], '--linger=-1'),
  flags(['--http-token', 'without spaces'], '--http-token', 'a b'),
  flags(['--http-token', 'line ends'], '--http-token', 'ab\n'),
  flags(['--http 203.0.113.7:9464', 'no such address'], '--http', '203.0.113.7:9464', '--http-token', 'x'),
  call(
    'worker with an invalid --http',
    ['--http', 'HOST:PORT'],
    'worker --connect tcp://127.0.0.1:1 --http localhost',
  ),
  call('watch with an invalid address', ['ftp://nowhere', 'http://HOST:PORT'], 'watch ftp://nowhere'),
  call('watch where nothing answers', ['http://127.0.0.1:1/', 'does not answer'], 'watch http://127.0.0.1:1'),
  call(
    'an invalid --bind',
    ['--bind', 'tcp://HOST:PORT'],
    `coordinator --data ${ok} --out run --bind localhost`,
  ),
  ...['nobody.invalid', '[fd00::99]', '[zz]'].map((host) => ({
    name: `--bind tcp://${host}`,
    says: [`--bind tcp://${host}:5999`, 'no such address'],
    args: ['coordinator', '--data', ok, '--out', 'run', '--bind', `tcp://${host}:5999`, '--insecure'],
    // After a warning.
    withWorkers: true,
  })),
  call('an invalid --connect', ['--connect', 'tcp://HOST:PORT'], 'worker --connect localhost'),
  call(
    '--data-root that does not exist',
    ['--data-root', 'exist'],
    `worker --connect tcp://127.0.0.1:1 --data-root ${join(folder, 'nope')}`,
  ),
  flags(['--max-epochs many', 'number'], '--max-epochs', 'many'),
  flags(['--workers two', 'number'], '--workers=two'),
  flags(['--covariance round', 'must be one of full, diag'], '--covariance', 'round'),
  flags(['--out needs a value'], '--out'),
  // As of a variable that is not set; as a number, it would be 0.
  flags(['--sample needs a value', 'empty'], '--sample', ''),
  flags(['--sample needs a value', 'empty'], '--sample='),
  flags(['--labels needs a value', 'empty'], '--labels', ''),
  {
    name: 'cut into an empty path',
    says: ['--out needs a value', 'empty'],
    args: ['cut', '--run', home, '--clusters', 2, '--out', ''],
  },
  call('cut at an empty number', ['--clusters needs a value', 'empty'], `cut --run ${home} --clusters=`),
  flags(['unknown flag --no-lr', '--lr takes a value'], '--no-lr'),
  flags(['unknown flag --no-labels'], '--no-labels'),
  flags(['two.csv: has no column after the colon'], '--labels', `${put('two.csv', 'a,b\n1,2\n')}:`),
  call('worker without --connect', ['--connect is missing', 'tcp://HOST:PORT'], 'worker'),
  call('resume without a run', ['<run> is missing', 'dpmesh resume <run>'], 'resume'),
  call('no command', ['command'], ''),
  call('unknown command', ['train'], `trian --data ${ok}`),
  call(
    'predict with no run',
    ['--run', 'not the directory of a finished run'],
    `predict --run ${folder} --data ${ok} --out p.npy`,
  ),
  call(
    'train --force where there was no run',
    ['no run.json of dpmesh', 'labels.npy'],
    `train --data ${ok} --out ${home} --force`,
  ),
  call('synth of one file', ['--out and --labels name the same file'], 'synth --out s.npy --labels ./s.npy'),
  call(
    'evaluate with other lengths',
    ['400', '500', 'same rows'],
    `evaluate --pred ${classes('p400', 400)} --labels ${classes('t500', 500)}`,
  ),
  call('evaluate without labels', ['labels'], `evaluate --pred ${join(folder, 't500.npy')}`),
];

/** Asserts exit code 2, one line of error, no files, within 5 s. Runs in an empty folder. */
async function assertRejected({ args, says, withWorkers: hasWorkers }: RejectedCall): Promise<void> {
  const cwd = mkdtempSync(join(folder, 'cwd-'));
  const ended = await called(args, cwd);
  const lines = ended.stderr.split('\n').filter(Boolean);
  const wrong = lines.filter((line) => line.startsWith('dpmesh: ') && !line.startsWith('dpmesh: warning: '));
  assert.equal(ended.code, 2, ended.stderr || ended.stdout);
  assert.equal(wrong.length, 1, ended.stderr);
  assert.equal(lines.at(-1), wrong[0], ended.stderr);
  if (!hasWorkers) assert.equal(lines.length, 1, ended.stderr);
  for (const part of says) {
    if (typeof part === 'string') assert.ok(wrong[0].includes(part), `"${wrong[0]}" lacks "${part}"`);
    else assert.match(wrong[0], part);
  }
  assert.equal(ended.stdout, '');
  assert.deepEqual(readdirSync(cwd, { recursive: true }), []);
  assert.ok(ended.seconds < patience(5), `took ${ended.seconds.toFixed(1)} s`);
}

describe('bad input', () => {
  for (const call of rejectedCalls) test(call.name, () => assertRejected(call));

  test('a port in use', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    try {
      await assertRejected(
        call(
          '',
          [`tcp://127.0.0.1:${port}`, 'in use'],
          `coordinator --data ${ok} --out run --bind tcp://127.0.0.1:${port}`,
        ),
      );
      const http = ['--http', `127.0.0.1:${port}`];
      const says = [`--http 127.0.0.1:${port}`, 'in use'];
      await assertRejected({ name: '', says, args: ['train', '--data', ok, '--out', 'run', ...http] });
      await assertRejected({ name: '', says, args: ['worker', '--connect', 'tcp://127.0.0.1:1', ...http] });
    } finally {
      taken.close();
    }
  });
});

describe('odd input', () => {
  test('Fortran order, big-endian, float64', async () => {
    const body = elements('f8', columnMajor(values, N, D), true);
    const path = put('fortran.npy', npyFile('>f8', [N, D], body, { fortran: true }));
    const runs = ['fortran', 'plain'].map((name) => join(folder, `run-${name}`));
    const results = await Promise.all(
      [path, ok].map((file, i) =>
        dpmesh(['train', '--data', file, '--out', runs[i], '--json', '--workers', 1, '--max-epochs', 12]),
      ),
    );
    for (const ended of results) jsonOf(ended);
    const [a, b] = runs.map((run) => readNpy(join(run, 'labels.npy')));
    assert.deepEqual(a, b);
  });

  test('true classes in a column of the data are left out, also from new rows', async () => {
    const lines = (classes: string[]) =>
      Array.from({ length: N }, (_, i) => `${values.slice(i * D, (i + 1) * D)},${classes[i % 2]}`);
    const numbers = put('classes.csv', `a,b,c,d,digit\n${lines(['0', '1']).join('\n')}\n`);
    const words = put('words-apart.csv', `a,b,c,d,animal\n${lines(['cat', 'dog']).join('\n')}\n`);
    const train = ['train', '--workers', 1, '--max-epochs', 3, '--no-report', '--json'];
    const trained = async (data: string, labels: string, out: string) => {
      const ended = await dpmesh([...train, '--data', data, '--labels', labels, '--out', join(folder, out)]);
      return { ...jsonOf(ended), stderr: ended.stderr };
    };
    const apart = await trained(ok, `${numbers}:digit`, 'run-apart');
    assert.doesNotMatch(apart.stderr, /left out|warning/);
    const labels = readNpy(join(folder, 'run-apart', 'labels.npy'));
    for (const [data, column, name, out] of [
      [numbers, 'digit', 'digit', 'run-digit'],
      [words, '5', 'animal', 'run-animal'],
    ]) {
      const result = await trained(data, `${data}:${column}`, out);
      assert.match(result.stderr, new RegExp(`^column ${name} of .* is left out of the rows`, 'm'));
      assert.deepEqual([result.dim, result.nmi], [D, apart.nmi]);
      assert.deepEqual(readNpy(join(folder, out, 'labels.npy')), labels);
      assert.equal(JSON.parse(readFileSync(join(folder, out, 'run.json'), 'utf8')).data.leftOut, name);
      // With the column or without it.
      for (const rows of [data, ok]) {
        const again = join(folder, 'again.npy');
        const run = ['--run', join(folder, out), '--data', rows, '--out', again, '--force'];
        assert.equal((await dpmesh(['predict', ...run])).code, 0);
        assert.deepEqual(readNpy(again), labels);
      }
    }
    // The report has points only if the data are unchanged.
    const plotted = await dpmesh(['plot', '--run', join(folder, 'run-animal')]);
    assert.doesNotMatch(plotted.stderr, /no points/);
    assert.match(plotted.stdout, /clusters/);
    await assertRejected(
      data(
        'nothing else',
        put('only.csv', 'label\n1\n2\n3\n'),
        ['only.csv', 'no column besides label'],
        '--labels',
        join(folder, 'only.csv'),
      ),
    );
  });

  test('a finished run is not resumed into another directory', async () => {
    const out = join(folder, 'run-apart');
    await assertRejected(call('', ['is finished', '--out other'], `resume ${out} --out other`));
    await assertRejected(
      call(
        '',
        ['--bind and --workers exclude each other'],
        `resume ${out} --workers 1 --bind tcp://127.0.0.1:*`,
      ),
    );
  });

  test('constant columns are dropped with a warning, which events.jsonl has too', async () => {
    const path = table(
      'const',
      everyRow(([a, , b, c]) => [a, 3, b, c]),
    );
    const run = join(folder, 'run-const');
    const ended = await dpmesh([
      ...['train', '--data', path, '--out', run, '--json', '--workers', 1, '--max-epochs', 12],
    ]);
    jsonOf(ended);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: .*const\.npy: dropped 1 constant column \(1, counted from 0\)$/m,
    );
    const [warning] = ofType(eventsOf(run), 'warning');
    assert.match(warning.message, /dropped 1 constant column/);
  });

  test('predict rejects rows with other columns, NaN, and existing files', async () => {
    const easy = easyData(folder, 'easy', 800);
    const run = join(folder, 'run-easy');
    jsonOf(await dpmesh(['train', '--data', easy.data, '--out', run, '--json', '--workers', 1, ...QUICK]));
    const three = changed({ 100: Number.NaN }).slice(0, 300);
    const bad = put('three-nan.npy', npyFile('<f4', [100, 3], elements('f4', three)));
    const predict = (...args: string[]) => ['predict', '--run', run, ...args];
    await assertRejected({
      name: '',
      says: ['ok.npy has 4 columns', 'was trained on 3', 'pass rows of the same columns'],
      args: predict('--data', ok, '--out', 'p.npy'),
    });
    await assertRejected({
      name: '',
      says: ['row 33', 'NaN', 'remove the row or fill'],
      args: predict('--data', bad, '--out', 'p.npy'),
    });
    const there = join(run, 'labels.npy');
    await assertRejected({
      name: '',
      says: ['own files'],
      args: predict('--data', ok, '--out', there, '--force'),
    });
    await assertRejected({
      name: '',
      says: ['--force'],
      args: predict('--data', easy.data, '--out', easy.labels),
    });
    const link = join(folder, 'link.npy');
    symlinkSync(easy.data, link);
    for (const [says, ...more] of [
      ['--out and --data name the same file', '--out', easy.data],
      ['--out and --data name the same file', '--out', link],
      ['--soft and --data name the same file', '--out', 'p.npy', '--soft', easy.data],
      ['--out and --soft name the same file', '--out', 'p.npy', '--soft', './p.npy'],
    ])
      await assertRejected({
        name: '',
        says: [says],
        args: predict('--data', easy.data, '--force', ...more),
      });
    assert.equal(readNpy(easy.data).shape[0], 800);
    await assertRejected({
      name: '',
      says: ['nowhere/s.npy', 'folder'],
      args: predict('--data', easy.data, '--out', 'p.npy', '--soft', 'nowhere/s.npy'),
    });
  });

  test('a current folder that no longer exists', async () => {
    const cwd = mkdtempSync(join(folder, 'gone-'));
    const script = 'rmdir "$0" && exec "$@"';
    const main = resolve('dist/cli/main.js');
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', script, cwd, process.execPath, main, 'train', '--data', ok],
      { cwd, encoding: 'utf8' },
    );
    assert.deepEqual(
      [status, stderr],
      [2, 'dpmesh: the current folder no longer exists; change to another one\n'],
    );
  });

  test('an --out that is not empty is rejected and not changed', async () => {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    mkdirSync(join(cwd, 'run'));
    writeFileSync(join(cwd, 'run', 'mine.txt'), 'mine');
    const ended = await dpmesh(['train', '--data', ok, '--out', 'run'], { cwd });
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, /^dpmesh: --out run already exists; .*--force\n$/);
    assert.deepEqual(readdirSync(cwd, { recursive: true }).sort(), ['run', 'run/mine.txt']);
  });
});
