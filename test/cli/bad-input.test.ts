import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { readNpy } from '../../data/npy.ts';
import { makeKeys } from '../../proto/keys.ts';
import { elements, npyFile } from '../data/files.ts';
import { called } from '../e2e/in-process.ts';
import { dpmesh, easyData, jsonOf, patience, scratch } from '../e2e/support.ts';
import { fitted } from '../fitted.ts';

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
/** An .npy of numbers, by default of float32 rows. */
const table = (name: string, rows = values, shape = [rows.length / D, D], type: 'f4' | 'f8' | 'i4' = 'f4') =>
  put(`${name}.npy`, npyFile(`<${type}`, shape, elements(type, rows)));
const changed = (change: Record<number, number>) => values.map((value, i) => change[i] ?? value);
const float64 = (name: string, change: (value: number, i: number) => number) =>
  table(name, values.map(change), [N, D], 'f8');
const classes = (name: string, count: number) =>
  table(name, values.slice(0, count).map(Math.round), [count], 'i4');
const ok = table('ok');

/** A sparse file of 100 rows × 60,000 columns. */
const header = npyFile('<f4', [100, 60_000], Buffer.alloc(0));
const wide = put('wide.npy', header);
truncateSync(wide, header.length + 100 * 60_000 * 4);

/** Invalid and valid keys. */
const [open, broken, good, swapped] = ['open', 'broken', 'good', 'swapped'].map((name) => {
  makeKeys(join(folder, name), ['worker']);
  return join(folder, name);
});
chmodSync(join(open, 'server.key'), 0o644);
appendFileSync(join(broken, 'allowed'), 'worker\n');
renameSync(join(swapped, 'worker.key'), join(swapped, 'server.key'));

/** A folder that is not a run, with a file whose name runs also use; an empty one; one with a run.json. */
const [home, empty, aRun] = ['home', 'empty', 'a-run'].map((name) => join(folder, name));
for (const path of [home, empty, aRun]) mkdirSync(path);
classes('home/labels', 5);
writeFileSync(join(aRun, 'run.json'), '{}');

interface RejectedCall {
  args: (string | number)[];
  /** Parts of the message. */
  says: (string | RegExp)[];
  /** Workers start before the error, or warnings are printed, so other lines may come before it. */
  isLate?: boolean;
}
type Says = RejectedCall['says'];

/** A call of any command, whose words have no blanks. */
const call = (line: string, ...says: Says): RejectedCall => ({ args: line.split(' '), says });
/** `train` with valid data and such flags. */
const flags = (args: (string | number)[], ...says: Says): RejectedCall => ({
  args: ['train', '--data', ok, '--out', 'run', ...args],
  says,
});
/** `train` of this file. */
const data = (path: string, ...says: Says): RejectedCall => ({
  args: ['train', '--data', path, '--out', 'run'],
  says,
});
/** The same, where rows are what is wrong, which workers find out. */
const rows = (path: string, ...says: Says): RejectedCall => ({
  args: ['train', '--data', path, '--out', 'run', '--workers', 1],
  says,
  isLate: true,
});
const coordinator = `coordinator --data ${ok} --out run`;
const worker = 'worker --connect tcp://127.0.0.1:1';

const rejectedCalls: RejectedCall[] = [
  rows(
    table('nan', changed({ 30: Number.NaN, 33: Number.NaN })),
    'nan.npy: 2 of 500 rows',
    'row 7, column 2 (counted from 0: NaN)',
  ),
  rows(
    table('inf', changed({ 44: Infinity, 45: -Infinity, 1999: Infinity })),
    'inf.npy: 2 of 500 rows',
    'infinite',
    'row 11, column 0 (counted from 0: Infinity)',
  ),
  rows(
    float64('x1e300', (value, i) => (i % D === 1 ? 1 : value) * 1e300),
    '500 of 500 rows have values larger than the supported maximum (1e18)',
    'row 0, column 1 (counted from 0: 1e300)',
    'x1e300.npy: ',
  ),
  rows(
    float64('x1e-30', (value, i) => (i % D === 1 ? 1 : value) * 1e-30),
    'standard deviation',
    'scale the data',
    'x1e-30.npy: ',
  ),
  rows(
    float64('plus1e9', (value) => value * 10 + 1e9),
    'float32 represents column ',
    'mean 1e9',
    'only in steps of 64',
    'plus1e9.npy: ',
  ),
  data(table('single', values.slice(0, D)), 'single.npy has 1 row', 'at least 2'),
  rows(table('few', values.slice(0, 12)), 'few.npy', 'rank 2', 'pca:2'),
  rows(table('same', Array(N * D).fill(1)), '500 rows are equal'),
  data(put('trunc.npy', readFileSync(ok).subarray(0, 3000)), 'trunc.npy', 'truncated', '3000 found'),
  data(join(folder, 'missing.npy'), 'missing.npy', 'no such file'),
  data(put('gap.csv', 'a,b\n1,2\n3,nan\n'), 'gap.csv line 3, column b', 'missing'),
  data(put('words.csv', 'a,b\n1,2\n3,x\n'), 'words.csv', 'line 3'),
  data(wide, 'wide.npy', '60000', '16384', '--covariance diag'),
  call(`train ${wide} --likelihood gaussian`, 'wide.npy', '60000', 'GB', '--covariance diag'),
  call('train --out run', '--data is missing'),
  // The largest finite number of 16 bits, and what larger ones become.
  rows(
    put(
      'half-inf.npy',
      npyFile(
        '<f2',
        [60, 384],
        elements(
          'u2',
          Array.from({ length: 60 * 384 }, (_, i) => (i === 7 * 384 + 300 ? 0x7c00 : 0x7bff - (i % 97))),
        ),
      ),
    ),
    'half-inf.npy: 1 of 60 rows',
    'row 7, column 300 (counted from 0: Infinity)',
    'remove or fill',
  ),

  { ...flags(['--transform', 'pca:99', '--workers', 1], 'pca:99', '4 columns'), isLate: true },
  flags(['--init-k', 501], '--init-k 501', '500 rows'),
  flags(['--labels', classes('lab', 499)], '499 labels', '500 rows'),
  flags(['--labels', join(folder, 'nope.npy')], 'nope.npy', 'no such file'),
  flags(['--labels', `${put('two.csv', 'a,b\n1,2\n')}:`], 'two.csv: has no column after the colon'),
  flags(['--prior-nu', 2], 'unknown flag --prior-nu'),
  flags(['--epochz', 3], 'epochz', '--max-epochs'),
  flags(['--no-lr'], 'unknown flag --no-lr', '--lr takes a value'),
  flags(['--lr=-1'], '--lr -1', 'above 0'),
  flags(['--lr', 'fast'], '--lr fast must be a number'),
  flags(['--workers=two'], '--workers two must be a number'),
  flags(['--lr'], 'lr', 'needs a value'),
  flags(['--hidden', 'abc'], '--hidden abc', '50,50'),
  flags(['--transform', 'zca'], '--transform zca', 'pca:'),
  flags(['--covariance', 'round'], '--covariance round must be one of full, diag'),
  flags(['--backend', 'nonesuch'], 'backend', 'auto', 'wasm', 'cpu', 'tensorflow', 'webgpu'),
  flags(['--seed', '99999999999999999999'], '--seed 99999999999999999999'),
  flags(['--max-epochs', 0], '--max-epochs 0', 'at least 1'),
  flags(['--batch-size', 1e9], '--batch-size 1000000000', '1 to 1048576'),
  flags(['--shards', 501], '501', '500 rows'),
  flags(['--soft=maybe'], '--soft maybe must be yes or no'),
  flags(['--earlyStop='], '--early-stop  must be yes or no'),
  // As of a variable that is not set; as a number, it would be 0.
  flags(['--sample', ''], '--sample needs a value', 'empty'),
  flags(['--labels', ''], '--labels needs a value', 'empty'),
  call(`cut --run ${home} --clusters=`, '--clusters needs a value', 'empty'),
  ...[
    ['bad', 'maxEpoch: 3\n', 'maxEpoch', 'max-epochs'],
    ['seed', 'seed: 9007199254740993\n', 'quotes'],
    ['range', 'lr: 0\n', '--lr', 'above 0'],
    ['proto', '__proto__: {lr: 1}\n', 'unknown flag __proto__'],
    ['object', 'lr: {a: 1}\n', '--lr {"a":1} must be a number'],
    ['soft', 'soft: maybe\n', '--soft maybe must be yes or no'],
    ['workers', 'workers: 2\n', 'has workers', 'set --workers on the command line'],
    ['out', '{"noReport": true}', 'has noReport', 'set --no-report on the command line'],
    ['twice', 'subLr: 8\nsub-lr: 7\n', 'has both subLr and sub-lr', 'leave one out'],
    ['keys', 'lr: 1\n"lr": 2\n', 'has lr twice; leave one out'],
    ['json', '{"lr": 1, "subLr": 8, "l\\u0072": 2}', 'has lr twice; leave one out'],
    ['run', '{"data": {"a": [{"b": "\\"{", "a": "a"}]}, "config": {"a": 1, "b": {}, "a": 2}}', 'has a twice'],
    ['quote', 'lr: "1\n', 'is neither YAML nor JSON', /[^:]$/],
    ['colons', 'a: b: c\n', 'is neither YAML nor JSON', /line 1, column \d+$/],
    ['empty', '# nothing\n', 'is empty', 'max-epochs: 100'],
    ['list', '- lr\n', 'has no flags', 'max-epochs: 100'],
  ].map(([name, text, ...says]) =>
    flags(['--config', put(`${name}.yaml`, text as string)], `${name}.yaml`, ...says),
  ),
  flags(['--config', join(folder, 'nope.yaml')], 'nope.yaml cannot be read: no such file or folder'),
  flags(['--config', empty], 'is a folder; pass a YAML or JSON file'),
  flags(['--config', aRun], /is a folder; pass \S+\/run\.json$/),
  call(`train --data ${ok} --out ${ok}`, '--out', 'not a directory'),
  call(`train --data ${ok} --out ${home} --force`, 'no run.json of dpmesh', 'labels.npy'),

  call(`${coordinator} --bind localhost`, '--bind', 'tcp://HOST:PORT'),
  call(`${coordinator} --bind tcp://0.0.0.0:5999`, 'tcp://0.0.0.0:5999', '--insecure'),
  ...['nobody.invalid', '[fd00::99]', '[zz]'].map((host) => ({
    ...call(
      `${coordinator} --insecure --bind tcp://${host}:5999`,
      `--bind tcp://${host}:5999`,
      'no such address',
    ),
    // After a warning.
    isLate: true,
  })),
  call(`${coordinator} --keys ${folder} --insecure`, '--keys', '--insecure', 'leave one out'),
  call(`${coordinator} --keys ${folder}`, 'server.key', 'dpmesh keygen'),
  call(`${coordinator} --keys ${open}`, 'open/server.key', 'mode 0644', 'chmod 600'),
  call(`${coordinator} --keys ${broken}`, 'broken/allowed', 'line 3', 'name and a public key'),
  call(`${coordinator} --keys ${swapped}`, 'swapped/server.key', 'worker --key', 'coordinator --keys'),
  call(`${worker} --key ${broken}/server.key`, 'broken/server.key', 'coordinator --keys', 'worker --key'),
  call(`${worker} --key ${good}/nope.key`, 'nope.key', 'dpmesh keygen'),
  call(`${worker} --http localhost`, '--http', 'HOST:PORT'),
  call(`${worker} --data-root ${join(folder, 'nope')}`, '--data-root', 'exist'),
  call('worker --connect localhost', '--connect', 'tcp://HOST:PORT'),
  call('worker', '--connect is missing', 'tcp://HOST:PORT'),
  call(`keygen ${good}`, 'worker is already in', 'allowed'),
  call('keygen keys --workers a,../x', '--workers ../x', 'A–Z'),
  call('keygen keys --workers a,,b', '--workers', 'empty name', 'A–Z'),
  call(`keygen ${ok}`, 'ok.npy', 'a file of that name exists'),
  // No files can be created there; some versions of Node.js never return from creating one.
  ...(existsSync('/proc/self')
    ? []
    : [
        call('keygen /proc/nope', '/proc/nope', 'cannot be made'),
        rows(`${ok} --out /proc/nope`, '--out /proc/nope cannot be written'),
      ]),

  flags(['--http', '9464'], '--http 9464', 'HOST:PORT'),
  flags(['--http', '0.0.0.0:0'], '--http 0.0.0.0:0', '--http-token'),
  flags(['--linger=-1'], '--linger -1', 'at least 0'),
  flags(['--http-token', 'a b'], '--http-token', 'without spaces'),
  flags(['--http-token', 'ab\n'], '--http-token', 'line ends'),
  flags(['--http', '203.0.113.7:9464', '--http-token', 'x'], '--http 203.0.113.7:9464', 'no such address'),

  call('resume', '<run> is missing', 'dpmesh resume <run>'),
  call('', 'command'),
  call(`trian --data ${ok}`, 'train'),
  call(`predict --run ${folder} --data ${ok} --out p.npy`, '--run', 'not the directory of a finished run'),
  call('synth --out s.npy --labels ./s.npy', '--out and --labels name the same file'),
];

/** Asserts exit code 2, one line of error, no files, within 5 s. Runs in an empty folder. */
async function assertRejected({ args, says, isLate = false }: RejectedCall): Promise<void> {
  const cwd = mkdtempSync(join(folder, 'cwd-'));
  const ended = await called(args, cwd);
  const lines = ended.stderr.split('\n').filter(Boolean);
  const wrong = lines.filter((line) => line.startsWith('dpmesh: ') && !line.startsWith('dpmesh: warning: '));
  assert.equal(ended.code, 2, ended.stderr || ended.stdout);
  assert.equal(wrong.length, 1, ended.stderr);
  assert.equal(lines.at(-1), wrong[0], ended.stderr);
  if (!isLate) assert.equal(lines.length, 1, ended.stderr);
  for (const part of says) {
    if (typeof part === 'string') assert.ok(wrong[0].includes(part), `"${wrong[0]}" lacks "${part}"`);
    else assert.match(wrong[0], part);
  }
  assert.equal(ended.stdout, '');
  assert.deepEqual(readdirSync(cwd, { recursive: true }), []);
  assert.ok(ended.seconds < patience(5), `took ${ended.seconds.toFixed(1)} s`);
}

describe('bad input', () => {
  for (const call of rejectedCalls)
    test(call.args.join(' ').replaceAll(`${folder}/`, ''), () => assertRejected(call));

  test('a port in use', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    try {
      const at = `127.0.0.1:${port}`;
      await assertRejected(call(`${coordinator} --bind tcp://${at}`, `tcp://${at}`, 'in use'));
      await assertRejected(flags(['--http', at], `--http ${at}`, 'in use'));
      await assertRejected(call(`${worker} --http ${at}`, `--http ${at}`, 'in use'));
    } finally {
      taken.close();
    }
  });
});

describe('odd input', () => {
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
    const only = put('only.csv', 'label\n1\n2\n3\n');
    await assertRejected(call(`train ${only} --labels ${only}`, 'only.csv', 'no column besides label'));
  });

  test('a finished run is not resumed into another directory', async () => {
    const out = join(folder, 'run-apart');
    await assertRejected(call(`resume ${out} --out other`, 'is finished', '--out other'));
    const both = `resume ${out} --workers 1 --bind tcp://127.0.0.1:*`;
    await assertRejected(call(both, '--bind and --workers exclude each other'));
  });

  test('predict rejects rows with other columns, NaN, and existing files', async () => {
    const easy = easyData(folder, 'easy', 800);
    const run = join(folder, 'run-easy');
    await fitted('gaussian', run);
    const bad = table('five-nan', changed({ 165: Number.NaN }).slice(0, 500), [100, 5]);
    const link = join(folder, 'link.npy');
    symlinkSync(easy.data, link);
    const [on, forced] = [`predict --run ${run} --data`, `${easy.data} --force --out`];
    for (const [rest, ...says] of [
      [`${ok} --out p.npy`, 'ok.npy has 4 columns', 'was trained on 5', 'pass rows of the same columns'],
      [`${bad} --out p.npy`, 'row 33', 'NaN', 'remove the row or fill'],
      [`${ok} --force --out ${join(run, 'labels.npy')}`, 'own files'],
      [`${easy.data} --out ${easy.labels}`, '--force'],
      [`${forced} ${easy.data}`, '--out and --data name the same file'],
      [`${forced} ${link}`, '--out and --data name the same file'],
      [`${forced} p.npy --soft ${easy.data}`, '--soft and --data name the same file'],
      [`${join(folder, 'eas?.npy')} --force --out ${easy.data}`, 'is one of the files of --data'],
      [`${forced} p.npy --soft ./p.npy`, '--out and --soft name the same file'],
      [`${easy.data} --out p.npy --soft nowhere/s.npy`, 'nowhere/s.npy', 'folder'],
    ])
      await assertRejected(call(`${on} ${rest}`, ...says));
    assert.equal(readNpy(easy.data).shape[0], 800);
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
