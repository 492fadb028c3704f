import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type CliArgs, MAIN } from '../bench/processes.ts';
import { npyFile } from '../data/files.ts';
import { faultyProxy, motoCommand, type S3Server, startS3 } from '../data/remote/s3-server.ts';
import {
  dpmesh,
  easyData,
  jsonOf,
  type ProcessResult,
  plainDisk,
  scratch,
  sha256,
  start,
  startCoordinator,
  trainArgs,
} from './support.ts';

const folder = scratch();
const out = (name: string) => join(folder, name);
// Larger than what is read to open the file.
const { data, rows, classes } = easyData(folder, 'x', 20_000, (row) => row.slice(0, 3));
const FLAGS: CliArgs = ['--max-epochs', 3, '--sample', 600, '--no-http'];
const WASM: CliArgs = ['--backend', 'wasm'];
const labelsOf = (run: string) => sha256(join(run, 'labels.npy'));
for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
Object.assign(process.env, { AWS_SHARED_CREDENTIALS_FILE: out('none'), AWS_CONFIG_FILE: out('none') });

/** The labels of the local file. */
let expected = '';
before(async () => {
  jsonOf(await dpmesh([...trainArgs(data, out('local'), '--workers', 2), ...FLAGS, ...WASM]));
  expected = labelsOf(out('local'));
});

/** A table of the same rows with their classes in its second column. */
function table(): string {
  const lines = Array.from(classes, (label, i) => {
    const [a, b, c] = rows.subarray(3 * i, 3 * i + 3);
    return `${a},${label},${b},${c}`;
  });
  return `a,class,b,c\n${lines.join('\n')}\n`;
}

function assertMistake({ code, stderr }: ProcessResult, says: RegExp): void {
  assert.equal(code, 2, stderr);
  assert.match(stderr, says);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
}

/** All that a run has written, and what it printed, as one text. */
function everythingOf(run: string, { stdout, stderr }: ProcessResult): string {
  const files = readdirSync(run, { recursive: true, encoding: 'utf8' })
    .map((name) => join(run, name))
    .filter((path) => statSync(path).isFile());
  return [...files.map((path) => readFileSync(path, 'latin1')), stdout, stderr].join('\n');
}

const moto = motoCommand();
const s3 = moto && (await startS3(moto));
if (s3) Object.assign(process.env, s3.env);

describe('an S3 store', { skip: s3 ? false : 'moto cannot be installed here' }, () => {
  const { url, env, put } = s3 ?? ({} as S3Server);
  let address = '';
  before(async () => {
    address = await put('a/x.npy', readFileSync(data));
  });

  test('workers read it themselves, on a line that fails often: the same bytes', async () => {
    const proxy = await faultyProxy(url);
    const idle = await faultyProxy(url);
    const {
      running,
      run,
      address: at,
    } = await startCoordinator(address, out('own'), ...FLAGS, '--no-report');
    const worker = (name: string, root: string, endpoint: string) =>
      start(['worker', '--connect', at, '--name', name, ...WASM, '--data-root', folder, root], {
        env: { AWS_ENDPOINT_URL: endpoint },
      });
    const workers = [
      worker('a', 's3://sets/a/', proxy.url),
      worker('b', address, proxy.url),
      // May not read it: its rows come from the coordinator.
      worker('c', 's3://sets/other', idle.url),
    ];
    const ended = await running.ended;
    jsonOf(ended);
    await Promise.all(workers.map(({ ended }) => ended));
    assert.equal(labelsOf(run), expected);
    for (const { stderr } of workers.slice(0, 2))
      assert.match(stderr(), /rows come from s3:\/\/sets\/a\/x\.npy/);
    assert.match(workers[2].stderr(), /rows come from the coordinator/);
    assert.deepEqual(idle.log, []);
    const ranges = proxy.log.map(({ range }) =>
      /^bytes=(\d+)-(\d+)$/
        .exec(range ?? '')!
        .slice(1)
        .map(Number),
    );
    // The end of the file may be in a shard of the third worker.
    const { size } = statSync(data);
    assert.ok(ranges.length > 0 && ranges.every(([from, to]) => from <= to && from < size));
    for (const fault of ['error', 'drop', 'cut', 'reset'])
      assert.ok(
        proxy.log.some((entry) => entry.fault === fault),
        fault,
      );
  });

  test('train, and a table that is copied, with labels in it; secrets are written nowhere', async () => {
    const proxy = await faultyProxy(url);
    const of = await put('a/table.csv', table());
    const endpoint = { AWS_ENDPOINT_URL: proxy.url };
    const ended = await dpmesh(
      trainArgs(of, out('table'), '--labels', `${of}:class`, '--workers', 2, ...FLAGS, ...WASM),
      { env: endpoint },
    );
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(labelsOf(out('table')), expected);
    assert.match(ended.stderr, /s3:\/\/sets\/a\/table\.csv: copied/);
    assert.match(ended.stderr, /column class of s3:\/\/sets\/a\/table\.csv is left out/);
    const everything = everythingOf(out('table'), ended);
    assert.match(everything, /s3:\/\/sets\/a\/table\.csv/);
    for (const secret of [env.AWS_SECRET_ACCESS_KEY, env.AWS_ACCESS_KEY_ID])
      assert.ok(!everything.includes(secret));
    // From the address in run.json, as the folder has another name than when it was trained.
    const predicted = out('predicted.npy');
    const again = await dpmesh(['predict', '--run', out('table'), '--data', address, '--out', predicted], {
      env: endpoint,
    });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(sha256(predicted), expected);
  });

  /** The rows in three arrays, the last of which is short. */
  const PARTS = [
    [0, 8000],
    [8000, 19_600],
    [19_600, 20_000],
  ].map(([from, to]) =>
    npyFile('<f4', [to - from, 3], Buffer.from(Float32Array.from(rows.slice(3 * from, 3 * to)).buffer)),
  );

  test('several arrays are read in place by workers, and several tables are copied: the same bytes', async () => {
    for (const [i, part] of PARTS.entries()) await put(`part-${i}.npy`, part);
    await put('_SUCCESS', '');
    const arrays = await dpmesh([
      ...trainArgs('s3://sets/part-*.npy', out('arrays'), '--workers', 2),
      ...FLAGS,
      ...WASM,
    ]);
    assert.equal(arrays.code, 0, arrays.stderr);
    assert.doesNotMatch(arrays.stderr, /copied/);
    assert.equal(labelsOf(out('arrays')), expected);
    const [head, ...lines] = table().trimEnd().split('\n');
    const halves = [lines.slice(0, 12_000), lines.slice(12_000)];
    for (const [i, half] of halves.entries()) await put(`rows-${i}.csv`, `${[head, ...half].join('\n')}\n`);
    const of = 's3://sets/rows-[0-9].csv';
    const how = ['--labels', `${of}:class`, '--force', ...FLAGS, ...WASM];
    const tables = await dpmesh([...trainArgs(of, out('tables'), '--workers', 2), ...how], {
      env: plainDisk(folder),
    });
    assert.equal(tables.code, 0, tables.stderr);
    assert.equal(labelsOf(out('tables')), expected);
    assert.match(tables.stderr, /s3:\/\/sets\/rows-\[0-9\]\.csv: copied .* MB to the cache/);
    const again = await dpmesh(['resume', out('tables'), '--no-http']);
    assert.equal(again.code, 0, again.stderr);
  });

  test('mistakes are one line, without secrets', async () => {
    const train = (data: string, more: Record<string, string | undefined>) =>
      dpmesh(trainArgs(data, out('refused'), '--workers', 1, ...FLAGS), {
        env: more,
      });
    assertMistake(
      await train('s3://sets/a/nope.npy', {}),
      /s3:\/\/sets\/a\/nope\.npy: there is no such file \(404/,
    );
    assertMistake(
      await train('s3://sets/nothing*', {}),
      /s3:\/\/sets\/nothing\* has no tables .* and no \.npy/,
    );
    assertMistake(await train(address, { AWS_SECRET_ACCESS_KEY: 'wrong' }), /credentials .* are not valid/);
    const nobody = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    assertMistake(await train(address, nobody), /access denied \(403.*no credentials were found/);
    const signed = await train('https://example.com/x.npy?X-Amz-Signature=SECRET', {});
    assertMistake(signed, /query/);
    assert.doesNotMatch(signed.stderr, /SECRET/);
  });
});

describe('standard input', () => {
  const train = (input: Uint8Array | string, ...more: CliArgs) =>
    spawnSync(
      process.execPath,
      [MAIN, ...trainArgs('-', out('stdin'), '--workers', 2, ...FLAGS, ...WASM), ...more].map(String),
      { input, encoding: 'utf8', timeout: 60_000 },
    );

  test('the same bytes; what is resumed or drawn later finds the copy, or says that it is gone', async () => {
    const { status, stderr } = train(readFileSync(data));
    assert.equal(status, 0, stderr);
    assert.equal(labelsOf(out('stdin')), expected);
    const { config } = JSON.parse(readFileSync(join(out('stdin'), 'run.json'), 'utf8'));
    assert.match(config.data, /[0-9a-f]{32}-stdin\.npy$/);
    assert.deepEqual(readFileSync(config.data), readFileSync(data));
    rmSync(config.data);
    rmSync(join(out('stdin'), 'labels.npy'));
    assertMistake(
      await dpmesh(['resume', out('stdin'), '--no-http']),
      /copy of standard input .* is gone: pass the same rows with --data/,
    );
  });

  test('a table, and nothing', () => {
    const { status, stderr } = train('a,b\n', '--force');
    assert.equal(status, 2, stderr);
    assert.match(stderr, /[0-9a-f]{32}-stdin\.csv has a header but no rows/);
    assert.match(train('', '--force').stderr, /standard input \(-\) has no data/);
  });
});
