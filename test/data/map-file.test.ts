import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { MOST_RECORDS, RECORD, readRecord } from '../../model/map-records.ts';
import { openMap } from '../../run/map-file.ts';
import { sha256Of } from '../../run/run-files.ts';
import { uniform } from '../page/browser/world.ts';
import { mappedRun } from '../page/report/mapped.ts';
import { scratchFolder } from './files.ts';

const { folder } = scratchFolder();

/** Gives the run a run.json with the hashes of what it has of its rows. */
function withHashes(run: string) {
  const names = ['map', 'labels', 'confidences', 'distances'].map((name) => `${name}.npy`);
  const files = Object.fromEntries(names.map((name) => [name, sha256Of(join(run, name), run)]));
  writeFileSync(join(run, 'run.json'), JSON.stringify({ dpmesh: '1.0.0', files }));
  return files;
}

const rowsIn = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / RECORD }, (_, i) => readRecord(new DataView(bytes.buffer), i * RECORD));

/** The map of a run, and its rows. */
async function mapOf(run: string, rows: number, k: number) {
  const map = (await openMap({ run, rows, k }))!;
  return { map, found: rowsIn(map.records(0, map.index.records)) };
}

test('each row is there once, in random order; where clusters are; rows that are asked for', async () => {
  const [n, k] = [70_000, 7];
  const random = uniform(5);
  const xy = Float32Array.from({ length: 2 * n }, (_, i) => (i % 20 < 2 ? 40 * random() : random() ** 3));
  const labels = Int32Array.from({ length: n }, (_, i) => (i % 20 < 2 ? 5 : i % 5));
  const { map, found } = await mapOf(mappedRun(join(folder, 'many'), xy, labels), n, k);
  const { index } = map;
  assert.deepEqual([index.records, new Set(found.map(({ row }) => row)).size], [n, n]);
  const { x: left, y: bottom, side } = index.box;
  const distance = (row: number, { x, y }: { x: number; y: number }) =>
    Math.hypot(left + side * x - xy[2 * row], bottom + side * y - xy[2 * row + 1]);
  for (const record of found) {
    assert.ok(distance(record.row, record) <= side * 2 ** -22);
    assert.equal(record.cluster, labels[record.row]);
    assert.ok(Math.abs(record.confidence - 0.75) < 1 / 255);
  }
  // Any first ones are a random sample: as many of each cluster, and of each part of the data, as all rows have.
  const first = found.slice(0, 8000);
  assert.ok(Math.abs(first.filter(({ cluster }) => cluster === 5).length / 8000 - 0.1) < 0.02);
  assert.ok(Math.abs(first.filter(({ row }) => row < n / 4).length / 8000 - 0.25) < 0.02);
  assert.equal(index.places[6], null, 'a cluster without rows');
  const own = index.places[5]!;
  const ofFifth = [...labels.keys()].filter((row) => labels[row] === 5);
  assert.equal(own.rows, ofFifth.length);
  assert.ok(
    ofFifth.some((row) => distance(row, own) < 1e-5 * side),
    'the place of a cluster, of whatever shape, is that of a row',
  );
  const x = ofFifth.map((row) => xy[2 * row]).sort((a, b) => a - b);
  assert.ok(Math.abs(left + side * own.x - x[x.length >> 1]) < 4, 'the median, of a sample');
  const wanted = [0, 5, 65_535, 65_536, n - 1];
  assert.deepEqual(
    rowsIn(await map.rowsAt(wanted)),
    wanted.map((row) => found.find((record) => record.row === row)),
  );
  assert.equal((await map.rowsAt([])).length, 0);
});

test('rows at one place, a single row, and rows in a line', async () => {
  const same = mappedRun(join(folder, 'same'), new Float32Array(4000).fill(3), new Int32Array(2000));
  assert.equal(new Set((await mapOf(same, 2000, 1)).found.map(({ row }) => row)).size, 2000);
  const one = mappedRun(join(folder, 'one'), Float32Array.of(1, 2), new Int32Array(1));
  assert.equal((await mapOf(one, 1, 1)).found.length, 1);
  const far = Float32Array.from({ length: 2000 }, (_, i) => (i % 2 ? -1e30 : i * 1e27));
  const line = await mapOf(mappedRun(join(folder, 'line'), far, new Int32Array(1000)), 1000, 1);
  for (const { row, x } of line.found) assert.ok(Math.abs(x - row / 999) < 1e-6);
});

test('of more rows it is a sample, in which what is asked for need not be', async () => {
  const n = MOST_RECORDS + 100_000;
  const xy = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) xy[2 * i] = i;
  const labels = new Int32Array(n).fill(1, n / 2);
  const run = mappedRun(join(folder, 'sample'), xy, labels);
  const map = (await openMap({ run, rows: n, k: 2 }))!;
  const { rows, records, places } = map.index;
  assert.equal(rows, n);
  assert.ok(records <= MOST_RECORDS && records > 0.99 * MOST_RECORDS, `${records}`);
  assert.equal(places[0]!.rows, n / 2);
  const numbers = new Uint32Array(map.records(0, records).buffer);
  const isThere = new Uint8Array(n);
  for (let i = 0; i < numbers.length; i += RECORD / 4) isThere[numbers[i]]++;
  assert.deepEqual(new Set(isThere), new Set([0, 1]));
  const lacking = isThere.indexOf(0);
  const [asked] = rowsIn(await map.rowsAt([lacking]));
  assert.ok(asked.row === lacking && Math.abs(asked.x - lacking / (n - 1)) < 1e-6);
  rmSync(run, { recursive: true });
});

test('it is made once, and again where it is damaged or of another map; damaged files and none', async () => {
  const TWO_ROWS = [Float32Array.of(0, 0, 1, 1), Int32Array.of(0, 1)] as const;
  const run = mappedRun(join(folder, 'again'), ...TWO_ROWS);
  const of = { run, rows: 2, k: 2 };
  const file = join(run, 'map.bin');
  assert.equal(await openMap(of, false), null);
  const { index } = (await openMap(of))!;
  const { ino } = statSync(file);
  assert.deepEqual((await openMap(of))!.index, index);
  assert.equal(statSync(file).ino, ino);
  const files = withHashes(run);
  assert.equal(await openMap(of, false), null, 'of another map');
  assert.equal((await openMap(of))!.index.of.map, files['map.npy']);
  for (const content of ['', 'x', '\u0002\0\0\0{}', '\xff\xff\xff\xff{}']) {
    writeFileSync(file, content, 'latin1');
    assert.equal(await openMap(of, false), null, 'damaged');
    assert.equal((await mapOf(run, 2, 2)).found.length, 2);
  }
  for (const [xy, pattern] of [
    [Float32Array.of(0, 0, Number.NaN, 1), /map.npy is damaged \(row 1 has NaN\)/],
    [Float32Array.of(0, 0), /map.npy is damaged .*shape \(1, 2\)/],
  ] as const) {
    const bad = mappedRun(join(folder, 'bad'), xy, Int32Array.of(0, 1));
    await assert.rejects(openMap({ ...of, run: bad }), pattern);
  }
  const label = mappedRun(join(folder, 'label'), ...TWO_ROWS);
  await assert.rejects(openMap({ ...of, k: 1, run: label }), /the label 1/);
  mkdirSync(join(folder, 'none'));
  assert.equal(await openMap({ run: join(folder, 'none'), rows: 2, k: 2 }), null);
});

test('none is made of files other than run.json says, which would be shown after they are restored', async () => {
  const [own, other] = ['own', 'other'].map((name, i) =>
    mappedRun(join(folder, name), Float32Array.of(0, 0, 1, 1 + i), Int32Array.of(i, 1 - i)),
  );
  const of = { run: own, rows: 2, k: 2 };
  writeNpy(join(other, 'confidences.npy'), '<f4', [2], Float32Array.of(0.5, 1));
  writeNpy(join(other, 'distances.npy'), '<f4', [2], Float32Array.of(1, 2));
  for (const file of Object.keys(withHashes(own))) {
    cpSync(join(own, file), join(own, 'kept'));
    cpSync(join(other, file), join(own, file));
    await assert.rejects(openMap(of), (error: Error) => error.message.includes(`${file} is damaged`));
    assert.ok(!existsSync(join(own, 'map.bin')), file);
    cpSync(join(own, 'kept'), join(own, file));
  }
  assert.ok(await openMap(of));
});
