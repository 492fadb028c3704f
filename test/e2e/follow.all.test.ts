// dpmesh follow: rows of files that arrive go into a run batch by batch, each once; the same bytes after a kill at any time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { MAIN, ROOT } from '../bench/processes.ts';
import { motoCommand, startS3 } from '../data/remote/s3-server.ts';
import { startBroker } from '../library/follow/kafka-broker.ts';
import {
  D,
  dpmesh,
  easyData,
  freePort,
  jsonOf,
  K,
  known,
  refused,
  scratch,
  sha256,
  start,
  trainArgs,
  until,
} from './support.ts';
import { replacedOnce } from './updates.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
/** The first half goes into the run, what comes after it into parts. */
const ROWS = 1200;
const FIRST = ROWS / 2;
const all = easyData(folder, 'all', ROWS);
/** The cluster that is not in the first rows. */
const LATE = 5;
const numbers = [...Array(ROWS).keys()];
const isEarly = (i: number) => all.classes[i] !== LATE;

const rowsOf = (own: readonly number[]) =>
  Float32Array.from(own.flatMap((i) => [...all.rows.subarray(i * D, (i + 1) * D)]));
/** A file that is complete. */
function aged(file: string): string {
  const time = new Date(Date.now() - 60_000);
  utimesSync(file, time, time);
  return file;
}
function array(file: string, own: readonly number[]): string {
  writeNpy(file, '<f4', [own.length, D], rowsOf(own));
  return aged(file);
}
function table(file: string, own: readonly number[], names = ['a', 'b', 'c', 'd', 'e']): string {
  const lines = own.map((i) => all.rows.subarray(i * D, (i + 1) * D).join(','));
  writeFileSync(file, [names.join(','), ...lines, ''].join('\n'));
  return aged(file);
}
/** A folder of its own, with four parts. */
function incoming(name: string): string {
  mkdirSync(path(name));
  for (const [i, part] of ['a', 'b', 'c', 'd'].entries())
    array(join(path(name), `${part}.npy`), numbers.slice(FIRST + 120 * i, FIRST + 120 * (i + 1)));
  return path(name);
}

const followArgs = (run: string, data: string, ...more: (string | number)[]) => [
  ...['follow', run, '--data', data, '--workers', 1, '--json'],
  ...more,
];
const batchesOf = ({ stdout, stderr, code }: { stdout: string; stderr: string; code: number | null }) => {
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
};
const takeAll = async (run: string, data: string, ...more: (string | number)[]) =>
  batchesOf(await dpmesh(followArgs(run, data, '--once', ...more), { timeout: 180_000 }));
const manifestOf = (at: string) => JSON.parse(readFileSync(join(at, 'follow.json'), 'utf8'));
const labelsIn = (at: string, part: string) => [...readNpy(join(at, 'labels', `${part}.npy`)).data];
/** What has to be the same. */
const stateOf = (at: string) => {
  const { updates } = manifestOf(at);
  const newest = join(at, `update-${String(updates).padStart(6, '0')}`);
  return [
    readFileSync(join(at, 'follow.json'), 'utf8'),
    ...readdirSync(join(at, 'labels')).map((name) => `${name} ${sha256(join(at, 'labels', name))}`),
    ...['labels.npy', 'lineage.json', 'stream/sample.npy', 'stream/state.ckpt'].map((name) =>
      sha256(join(newest, name)),
    ),
  ];
};

let four: string;
let undisturbed: string[];
before(async () => {
  const early = numbers.slice(0, FIRST).filter(isEarly);
  jsonOf(await dpmesh(trainArgs(array(path('first.npy'), early), path('run'), ...known(K - 1))));
  jsonOf(await dpmesh(trainArgs(table(path('first.csv'), early), path('table'), ...known(K - 1))));
  four = incoming('four');
});

describe('a follow', () => {
  test('takes parts in batches, in the order of their names, and labels the rows of each', async () => {
    const [one, two, ...others] = await takeAll(path('run'), four, '--batch-rows', 200);
    assert.deepEqual(others, []);
    assert.deepEqual([one.parts, one.rows, one.update], [['a.npy', 'b.npy'], 240, 1]);
    assert.deepEqual([two.parts, two.rows, two.update, two.waiting], [['c.npy', 'd.npy'], 240, 2, 0]);
    assert.deepEqual([one.k, one.born, one.gone], [K, [5], []]);
    const at = path('run-follow');
    assert.deepEqual(readdirSync(at).sort(), [
      ...['follow.json', 'labels', 'rows-000001', 'rows-000002', 'update-000001', 'update-000002'],
    ]);
    const labels = ['a', 'b'].flatMap((part) => labelsIn(at, `${part}.npy`));
    assert.deepEqual(labels, [...readNpy(join(at, 'update-000001', 'labels.npy')).data]);
    const right = labels.filter((label, i) => (label === 5) === !isEarly(FIRST + i)).length;
    assert.ok(right >= 0.99 * labels.length, `${right} of ${labels.length}`);
    // Its newest update is a run like any other.
    const out = path('predicted.npy');
    const predicted = await dpmesh(['predict', join(at, 'update-000002'), join(four, 'c.npy'), '--out', out]);
    assert.equal(predicted.code, 0, predicted.stderr);
    assert.deepEqual([...readNpy(out).data], labelsIn(at, 'c.npy'));
    undisturbed = stateOf(at);
  });

  test('leaves out the files that its run was made of', async () => {
    mkdirSync(path('mine'));
    table(join(path('mine'), 'a.csv'), numbers.slice(0, 300).filter(isEarly));
    table(join(path('mine'), 'b.csv'), numbers.slice(300, FIRST).filter(isEarly));
    jsonOf(await dpmesh(trainArgs(path('mine'), path('of-mine'), ...known(K - 1))));
    table(join(path('mine'), 'c.csv'), numbers.slice(FIRST, 720));
    const [one, ...others] = await takeAll(path('of-mine'), path('mine'));
    assert.deepEqual([one.parts, others], [['c.csv'], []]);
  });

  test('ends where another run takes the place of its own before the first update', async () => {
    const [base, data] = [path('base'), path('waiting')];
    const args = followArgs(base, data, '--once', '--lazy', 0.9);
    cpSync(path('run'), base, { recursive: true });
    mkdirSync(data);
    array(join(data, 'a.npy'), numbers.slice(FIRST, 660).filter(isEarly));
    const replaced = replacedOnce(path('base-follow/labels/a.npy.npy'), base, path('table'), folder);
    refused(await dpmesh(args, replaced), 'another has taken its place', '--out');
    assert.deepEqual(manifestOf(path('base-follow')).parts, []);
    // It has taken nothing yet, so it goes on with that one, and then with no other.
    const [one, ...others] = batchesOf(await dpmesh(args));
    assert.deepEqual([one.parts, one.trained, others], [['a.npy'], false, []]);
    rmSync(base, { recursive: true });
    renameSync(`${base}-before`, base);
    refused(await dpmesh(args), 'another has taken its place', '--out');
  });

  test('does not take an update of rows that it has given up for one of others', async () => {
    const [base, data] = [path('left'), path('left-in')];
    const args = followArgs(base, data, '--once');
    cpSync(path('run'), base, { recursive: true });
    mkdirSync(data);
    const first = array(join(data, 'a.npy'), numbers.slice(FIRST, 660));
    // The update is complete by then.
    const update = path('left-follow/update-000001');
    const replaced = replacedOnce(join(update, 'labels.csv'), base, path('table'), folder);
    refused(await dpmesh(args, replaced), 'another has taken its place', '--out');
    assert.equal(manifestOf(path('left-follow')).batch, null);
    rmSync(base, { recursive: true });
    renameSync(`${base}-before`, base);
    rmSync(first);
    array(join(data, 'b.npy'), numbers.slice(660, 720));
    const [one, ...others] = batchesOf(await dpmesh(args));
    assert.deepEqual([one.parts, others], [['b.npy'], []]);
    await dpmesh(followArgs(base, data, '--once', '--out', path('left-again')));
    assert.deepEqual(labelsIn(path('left-follow'), 'b.npy'), labelsIn(path('left-again'), 'b.npy'));
  });

  test('does nothing where nothing has come, and keeps the last two updates', async () => {
    assert.deepEqual(await takeAll(path('run'), four), []);
    assert.deepEqual(stateOf(path('run-follow')), undisturbed);
    renameSync(path('run-follow'), path('undisturbed'));
    await takeAll(path('run'), four, '--batch-rows', 120);
    const kept = readdirSync(path('run-follow')).filter((name) => /-\d/.test(name));
    assert.deepEqual(kept.sort(), ['rows-000003', 'rows-000004', 'update-000003', 'update-000004']);
    assert.equal(readdirSync(join(path('run-follow'), 'labels')).length, 4);
    rmSync(path('run-follow'), { recursive: true });
  });
});

test('killed at one change of a name of a file after the other: the same bytes', async () => {
  const at = path('run-follow');
  rmSync(at, { recursive: true, force: true });
  const killer = pathToFileURL(join(ROOT, 'test/faults/kill-at.mjs')).href;
  let killed = 0;
  for (const change of [3, 30, 47]) {
    const env = { NODE_OPTIONS: `--import ${killer}`, DPMESH_KILL_AT: String(change) };
    const running = start(followArgs(path('run'), four, '--once', '--batch-rows', 200), { env });
    const { signal, stderr } = await running.ended;
    assert.equal(stderr.match(/^dpmesh: (?!warning)/m), null, stderr);
    if (signal === 'SIGKILL') killed++;
    await running.killAll();
  }
  assert.ok(killed >= 2, `${killed} were killed`);
  await takeAll(path('run'), four, '--batch-rows', 200);
  assert.deepEqual(stateOf(at), undisturbed);
});

describe('parts', () => {
  /** A follow of its own of the run, into which rows from 1200 on have gone. */
  const fresh = (name: string) => ({ data: incoming(`${name}-in`), out: path(`${name}-out`) });
  const outOf = (out: string) => ['--out', out, '--batch-rows', 10_000];

  test('that are there twice, or in the run already, or have no rows, are left out', async () => {
    const { data, out } = fresh('twice');
    cpSync(join(data, 'b.npy'), aged(join(data, 'b.npy')).replace('b.npy', 'z.npy'));
    cpSync(path('first.npy'), join(data, 'first.npy'));
    writeFileSync(join(data, 'empty.csv'), '');
    writeFileSync(join(data, 'header.csv'), 'a,b,c,d,e\n');
    for (const name of ['z.npy', 'first.npy', 'empty.csv', 'header.csv']) aged(join(data, name));
    const result = await dpmesh(followArgs(path('run'), data, '--once', ...outOf(out)));
    const [{ parts, rows }, ...others] = batchesOf(result);
    assert.deepEqual(others, []);
    assert.deepEqual([parts, rows], [['a.npy', 'b.npy', 'c.npy', 'd.npy'], 480]);
    for (const says of [
      'z.npy: it is the same as b.npy: left out',
      'first.npy: its rows are in the run already: left out',
      'empty.csv: it has no rows: left out',
      'header.csv: it has no rows: left out',
    ])
      assert.ok(result.stderr.includes(says), result.stderr);
    assert.deepEqual(await takeAll(path('run'), data, ...outOf(out)), []);
    // One that has got rows since is taken.
    table(join(data, 'empty.csv'), numbers.slice(1080, 1140));
    assert.deepEqual((await takeAll(path('run'), data, ...outOf(out)))[0].parts, ['empty.csv']);
  });

  test('may go once they are taken, or be touched, but not change', async () => {
    const { data, out } = fresh('gone');
    await takeAll(path('run'), data, ...outOf(out));
    rmSync(join(data, 'a.npy'));
    const later = new Date(Date.now() - 30_000);
    utimesSync(join(data, 'b.npy'), later, later);
    assert.deepEqual(await takeAll(path('run'), data, ...outOf(out)), []);
    array(join(data, 'c.npy'), numbers.slice(1000, 1120));
    const refusal = await dpmesh(followArgs(path('run'), data, '--once', ...outOf(out)));
    refused(refusal, 'c.npy has changed since it was taken (update 1)');
    array(join(data, 'c.npy'), numbers.slice(840, 960));
    assert.deepEqual(await takeAll(path('run'), data, ...outOf(out)), []);
  });

  test('that are still being written wait; files that are renamed are taken at once', async () => {
    const { data, out } = fresh('growing');
    for (const name of ['b', 'c', 'd']) rmSync(join(data, `${name}.npy`));
    const whole = readFileSync(array(path('whole.npy'), numbers.slice(720, 840)));
    const file = join(data, 'b.npy');
    writeFileSync(file, whole.subarray(0, 1200));
    const running = start(followArgs(path('run'), data, ...outOf(out), '--every', 0), { timeout: 120_000 });
    await until('the first batch', () => existsSync(join(out, 'labels', 'a.npy.npy')), running);
    // It has looked at the half more than once.
    appendFileSync(file, whole.subarray(1200));
    renameSync(array(path('aside.npy'), numbers.slice(840, 960)), join(data, 'c.npy'));
    await until('the others', () => existsSync(join(out, 'labels', 'b.npy.npy')), running);
    running.kill('SIGINT');
    const batches = batchesOf(await running.ended);
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    assert.deepEqual([batches[0].parts, rows], [['a.npy'], 360]);
    assert.equal(labelsIn(out, 'b.npy').length, 120);
  });

  test('that do not fit the run end it with a line that names them; those before are taken first', async () => {
    const { data, out } = fresh('unfit');
    const wide = join(data, 'bad.npy');
    writeNpy(wide, '<f4', [10, D + 1], new Float32Array(10 * (D + 1)));
    aged(wide);
    const first = await dpmesh(followArgs(path('run'), data, '--once', ...outOf(out)));
    refused(first, `${wide} has ${D + 1} columns`, `trained on ${D}`);
    assert.deepEqual(JSON.parse(first.stdout).parts, ['a.npy', 'b.npy']);
    writeFileSync(wide, readFileSync(join(data, 'a.npy')).subarray(0, 1200));
    aged(wide);
    refused(await dpmesh(followArgs(path('run'), data, '--once', ...outOf(out))), wide, 'truncated');
    rmSync(wide);
    assert.deepEqual((await takeAll(path('run'), data, ...outOf(out)))[0].parts, ['c.npy', 'd.npy']);
  });

  test('whose names cannot be taken end it by what they are called, and once renamed it goes on', async () => {
    const { data, out } = fresh('names');
    const odd = Buffer.concat([Buffer.from(`${data}/`), Buffer.from('b\xff.npy', 'latin1')]);
    for (const [name, says] of [
      [join(data, 'b\nb.npy'), 'b\\nb.npy: its name has control characters; rename it'],
      [odd, 'b\\xff.npy: its name is not UTF-8; rename it'],
    ] as const) {
      renameSync(join(data, 'b.npy'), name);
      const refusal = await dpmesh(followArgs(path('run'), data, '--once', ...outOf(out)));
      refused(refusal, says);
      assert.ok(refusal.stderr.trimEnd().split('\n').at(-1)!.includes(says), refusal.stderr);
      renameSync(name, join(data, 'b.npy'));
    }
    const [{ parts }] = await takeAll(path('run'), data, ...outOf(out));
    assert.deepEqual(parts, ['b.npy', 'c.npy', 'd.npy']);
  });

  test('of several formats are batches of their own, and tables are read by their names', async () => {
    const data = path('formats-in');
    mkdirSync(data);
    table(join(data, 'a.csv'), numbers.slice(FIRST, 660));
    table(join(data, 'b.csv'), numbers.slice(660, 720));
    const swapped = join(data, 'c.csv');
    const lines = numbers.slice(720, 780).map((i) => [...all.rows.subarray(i * D, (i + 1) * D)].reverse());
    writeFileSync(swapped, `e,d,c,b,a\n${lines.join('\n')}\n`);
    aged(swapped);
    array(join(data, 'd.npy'), numbers.slice(780, 840));
    const batches = await takeAll(path('table'), join(data, '*'));
    assert.deepEqual(
      batches.map(({ parts }) => parts),
      [['a.csv', 'b.csv'], ['c.csv'], ['d.npy']],
    );
    const at = path('table-follow');
    const labels = ['a.csv', 'b.csv', 'c.csv', 'd.npy'].flatMap((part) => labelsIn(at, part));
    const right = labels.filter((label, i) => (label === 5) === !isEarly(FIRST + i)).length;
    assert.ok(right >= 0.99 * labels.length, `${right} of ${labels.length}`);
    const bad = join(data, 'e.csv');
    table(bad, numbers.slice(840, 880), ['a', 'b', 'c', 'd', 'f']);
    const refusal = await dpmesh(followArgs(path('table'), join(data, '*'), '--once'));
    refused(refusal, bad, 'no column "e"');
  });
});

describe('standard input', () => {
  const piped = (file: string, ...more: (string | number)[]) =>
    dpmesh(followArgs(path('table'), '-', '--batch-rows', 100, ...more), {
      within: ['sh', '-c', `cat ${file} | "$@"`, 'sh'],
      timeout: 180_000,
    });

  test('is cut into batches; what comes again is left out', async () => {
    const out = path('stdin');
    const file = table(path('stream.csv'), numbers.slice(FIRST, 840));
    const batches = batchesOf(await piped(file, '--out', out));
    assert.deepEqual(
      batches.map(({ rows, update }) => [rows, update]),
      [
        [100, 1],
        [100, 2],
        [40, 3],
      ],
    );
    const labels = batches.flatMap(({ parts }) => labelsIn(out, parts[0]));
    const right = labels.filter((label, i) => (label === 5) === !isEarly(FIRST + i)).length;
    assert.ok(right >= 0.99 * labels.length, `${right} of ${labels.length}`);
    const again = await piped(file, '--out', out);
    assert.deepEqual(batchesOf(again), []);
    assert.equal(again.stderr.match(/it is the same as stdin-0000000\d\.csv: left out/g)?.length, 3);
  });

  test('of lines that end with carriage returns is taken; of a stray quote the line is named, and no row is lost without a word', async () => {
    const rows = readFileSync(table(path('plain.csv'), numbers.slice(FIRST, 660)), 'utf8')
      .trimEnd()
      .split('\n');
    const old = path('returns.csv');
    writeFileSync(old, rows.join('\r'));
    const [{ rows: taken }, ...others] = batchesOf(await piped(old, '--out', path('returns')));
    assert.deepEqual([taken, others], [60, []]);
    for (const [stray, says] of [
      [rows[10].replace(',', ',"'), 'line 11 has a quote that does not close to the end'],
      [rows[10].replace('.', '"'), 'line 11 is not valid CSV'],
    ]) {
      const file = path('stray.csv');
      writeFileSync(file, [...rows.slice(0, 10), stray, ...rows.slice(11), ''].join('\n'));
      refused(await piped(file, '--out', path('stray')), `standard input ${says}`);
      assert.deepEqual(manifestOf(path('stray')).parts, []);
    }
  });
});

test('standard input that goes on: Ctrl-C takes in what has been read', async () => {
  const out = path('piped');
  const args = followArgs(path('table'), '-', '--out', out).map(String);
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const [output, errors] = [child.stdout, child.stderr].map((stream) => stream.setEncoding('utf8').toArray());
  const exited = once(child, 'exit');
  child.stdin.write(readFileSync(table(path('piped.csv'), numbers.slice(FIRST, 660))));
  await until('the lines', () => existsSync(join(out, 'rows-000001')));
  await sleep(200);
  child.kill('SIGINT');
  const [code] = await exited;
  const batches = batchesOf({ code, stdout: (await output).join(''), stderr: (await errors).join('') });
  assert.deepEqual(
    batches.map(({ rows, k }) => [rows, k]),
    [[60, K]],
  );
});

describe('a topic', () => {
  const message = (own: readonly number[], end = '\n') =>
    own.map((i) => JSON.stringify([...all.rows.subarray(i * D, (i + 1) * D)])).join(end);
  const messages = [
    null,
    ...[...Array(80).keys()].map((i) => message([0, 1, 2].map((j) => FIRST + 3 * i + j))),
  ];
  const killer = pathToFileURL(join(ROOT, 'test/faults/kill-at.mjs')).href;

  test('is taken in batches that end where messages do; killed, the same bytes', async (context) => {
    const broker = await startBroker('rows', [{ first: 0, messages }]);
    context.after(broker.close);
    const out = path('topic');
    const args = followArgs(path('run'), broker.address, '--once', '--batch-rows', 100, '--out', out);
    // What cannot be computed is taken the next time.
    refused(await dpmesh([...args, '--backend', 'cpu']), '--backend cpu would change the result');
    const batches = batchesOf(await dpmesh(args));
    assert.deepEqual(
      batches.map(({ parts, rows, update }) => [...parts, rows, update]),
      [
        ['kafka-00000000.jsonl', 102, 1],
        ['kafka-00000001.jsonl', 102, 2],
        ['kafka-00000002.jsonl', 36, 3],
      ],
    );
    const labels = batches.flatMap(({ parts }) => labelsIn(out, parts[0]));
    const right = labels.filter((label, i) => (label === 5) === !isEarly(FIRST + i)).length;
    assert.ok(right >= 0.99 * labels.length, `${right} of ${labels.length}`);
    assert.deepEqual(manifestOf(out).kafka, { topic: 'rows', offsets: [81] });
    const undisturbed = stateOf(out);
    rmSync(out, { recursive: true });
    let killed = 0;
    for (const change of [3, 4]) {
      const env = { NODE_OPTIONS: `--import ${killer}`, DPMESH_KILL_AT: String(change) };
      const running = start(args, { env });
      const { signal, stderr } = await running.ended;
      assert.equal(stderr.match(/^dpmesh: (?!warning)/m), null, stderr);
      if (signal === 'SIGKILL') killed++;
      await running.killAll();
    }
    assert.ok(killed >= 2, `${killed} were killed`);
    batchesOf(await dpmesh(args));
    assert.deepEqual(stateOf(out), undisturbed);
    // What comes later, and does not fit.
    messages.push(message([840, 841]), '[1,2]');
    const bad = followArgs(path('run'), broker.address, '--once', '--batch-rows', 2, '--out', out);
    const refusal = await dpmesh(bad);
    refused(refusal, `${broker.address}, partitions from offsets 82 on`);
    assert.equal(JSON.parse(refusal.stdout).rows, 2);
    assert.deepEqual(manifestOf(out).kafka.offsets, [82]);
    await broker.close();
    refused(await dpmesh(bad), `${broker.address} cannot be read (`);
    refused(
      await dpmesh(followArgs(path('run'), `${broker.address}s`, '--once', '--out', out)),
      'follows the topic rows, not rowss',
    );
  });
});

const moto = motoCommand();
test('objects of a store are parts', {
  skip: !moto && 'no S3 server: moto cannot be installed',
}, async () => {
  const { put, env } = await startS3(moto!);
  // This store takes no signed question for a folder, as others do.
  for (const part of ['a', 'b']) await put(`${part}.npy`, readFileSync(join(four, `${part}.npy`)));
  await put('notes.md', 'no rows');
  Object.assign(process.env, env);
  const s3 = (data: string) => dpmesh(followArgs(path('run'), data, '--once', '--out', path('store')));
  const [{ parts, rows }] = batchesOf(await s3('s3://sets/*.npy'));
  assert.deepEqual([parts, rows], [['a.npy', 'b.npy'], 240]);
  assert.equal(labelsIn(path('store'), 'b.npy').length, 120);
  assert.deepEqual(batchesOf(await s3('s3://sets/*.npy')), []);
  await put('b.npy', readFileSync(join(four, 'c.npy')).subarray(0, 1200));
  refused(await s3('s3://sets/*.npy'), 's3://sets/b.npy has changed');
  refused(await s3('s3://other/*'), 's3://other', 'NoSuchBucket');
});

describe('a lazy follow', () => {
  test('labels at once, trains once enough is new, and has the same bytes after a kill', async () => {
    const at = path('lazy');
    const lazy = ['--out', at, '--batch-rows', 1, '--lazy', 0.25];
    const data = path('lazy-in');
    mkdirSync(data);
    // Without the cluster that would be an alarm.
    const own = numbers.slice(FIRST).filter(isEarly);
    for (const i of [0, 1, 2, 3, 4]) array(join(data, `${i}.npy`), own.slice(70 * i, 70 * (i + 1)));
    const batches = await takeAll(path('run'), data, ...lazy);
    // Of 480 rows of the run or so 210 are more than a quarter of all, 140 are not.
    assert.deepEqual(
      batches.map(({ parts, trained, update }) => [parts[0], trained, update]),
      [
        ['0.npy', false, 0],
        ['1.npy', false, 0],
        ['2.npy', true, 1],
        ['3.npy', false, 1],
        ['4.npy', false, 1],
      ],
    );
    const lastLabels = [...readNpy(join(at, 'update-000001', 'labels.npy')).data];
    assert.equal(lastLabels.length, 210);
    assert.deepEqual(labelsIn(at, '2.npy'), lastLabels.slice(140));
    const undisturbed = stateOf(at);
    rmSync(at, { recursive: true });
    const running = start(followArgs(path('run'), data, ...lazy));
    const isLabelled = () => existsSync(join(at, 'labels', '1.npy.npy'));
    await until('one is labelled', isLabelled, running);
    await running.killAll();
    await takeAll(path('run'), data, ...lazy);
    assert.deepEqual(stateOf(at), undisturbed);
  });

  test('trains at an alarm', async () => {
    const data = path('alarm-in');
    mkdirSync(data);
    array(join(data, 'late.npy'), numbers.slice(FIRST, 660));
    const lazy = ['--out', path('alarm'), '--batch-rows', 1, '--lazy', 0.9];
    const [{ trained, born, alarm }] = await takeAll(path('run'), data, ...lazy);
    assert.deepEqual([trained, born], [true, [5]]);
    assert.match(alarm, /^late\.npy: the new rows are not like those before/);
  });
});

describe('dpmesh follow refuses', () => {
  const refuses = async (args: (string | number)[], ...says: string[]) =>
    refused(await dpmesh(args.concat('--once')), ...says);
  test('runs that cannot be updated, and folders that are not those of a follow of the run', async () => {
    await refuses(followArgs(path('nothing'), four), 'not a run directory');
    await refuses(followArgs(path('run'), path('nothing')), 'no such file or folder');
    await refuses(followArgs(path('run'), four, '--out', path('table')), 'not the folder of a follow');
    await refuses(followArgs(path('run'), four, '--out', path('table-follow')), 'follows', 'table, not');
    await refuses(followArgs(path('run'), four, '--batch-rows', 0), '--batch-rows 0');
    await refuses(followArgs(path('run'), four, '--lazy', 1), '--lazy 1');
  });
  test('a folder in which another one is at work; Ctrl-C ends that between two batches', async () => {
    const data = incoming('locked-in');
    const out = path('locked');
    const port = await freePort();
    const http = ['--http', `127.0.0.1:${port}`];
    const running = start(followArgs(path('run'), data, '--out', out, '--batch-rows', 200, ...http));
    await until(
      'the first batch',
      () => existsSync(join(out, 'follow.json')) && manifestOf(out).batch,
      running,
    );
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /^dpmesh_follow_parts_waiting\{run="locked"\} 4$/m);
    assert.match(metrics, /^dpmesh_follow_rows_total\{run="locked"\} 0$/m);
    await refuses(followArgs(path('run'), data, '--out', out), 'in use by another follow');
    // As a terminal does: workers get it too.
    process.kill(-running.pid, 'SIGINT');
    const ended = await running.ended;
    assert.match(ended.stderr, /ends after this batch/);
    assert.deepEqual(
      batchesOf(ended).map(({ parts }) => parts),
      [['a.npy', 'b.npy']],
    );
    const [{ parts }] = await takeAll(path('run'), data, '--out', out, '--batch-rows', 200);
    assert.deepEqual(parts, ['c.npy', 'd.npy']);
  });
});
