import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../base/user-error.ts';
import { writeNpy } from '../../data/npy.ts';
import {
  DEEPEST,
  DENSITY_CELLS,
  FOUND,
  RECORD,
  readFound,
  readRecord,
  TILE_ROWS,
} from '../../model/map-tiles.ts';
import { openMap } from '../../run/map-tiles.ts';
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

/** The rows of all tiles, each with its tile. */
async function rowsIn(run: string, rows: number, k: number) {
  const map = (await openMap({ run, rows, k }))!;
  const found = map.index.tiles.flatMap((tile, number) => {
    const bytes = map.tile(number);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return Array.from({ length: tile.count }, (_, i) => ({
      tile,
      number,
      record: readRecord(view, i * RECORD),
    }));
  });
  return { map, found };
}

test('each row is in one tile, where it is on the map; large tiles have a random sample; medians, sample, density', async () => {
  const [n, k] = [30_000, 7];
  const random = uniform(5);
  const xy = Float32Array.from({ length: 2 * n }, (_, i) => (i % 20 < 2 ? 40 * random() : random() ** 3));
  const labels = Int32Array.from({ length: n }, (_, i) => (i % 20 < 2 ? 5 : i % 5));
  const run = mappedRun(join(folder, 'many'), xy, labels);
  const { map, found } = await rowsIn(run, n, k);
  const { index } = map;
  assert.equal(new Set(found.map(({ record }) => record.row)).size, n);
  assert.equal(found.length, n);
  const { x: left, y: bottom, side } = index.box;
  for (const { tile, record } of found) {
    const across = 2 ** tile.level;
    const at = [
      left + (side * (tile.column + record.x)) / across,
      bottom + (side * (tile.row + record.y)) / across,
    ];
    const far = Math.hypot(at[0] - xy[2 * record.row], at[1] - xy[2 * record.row + 1]);
    assert.ok(far <= (2 * side) / across / 65_536 + 1e-5, `${far}`);
    assert.equal(record.cluster, labels[record.row]);
    assert.ok(Math.abs(record.confidence - 0.75) < 1 / 255);
  }
  for (const { count } of index.tiles) assert.ok(count < 1.5 * TILE_ROWS, `${count} rows in a tile`);
  // A random sample: as many of each cluster as it has rows.
  const first = found.filter(({ number }) => number === 0);
  assert.ok(Math.abs(first.length - n / Math.round(n / TILE_ROWS)) < 400, `${first.length}`);
  assert.ok(Math.abs(first.filter(({ record }) => record.cluster === 5).length / first.length - 0.1) < 0.02);
  assert.equal(index.places[6], null, 'a cluster without rows');
  const own = index.places[5]!;
  const isThere = (row: number) =>
    labels[row] === 5 &&
    Math.hypot(xy[2 * row] - left - side * own.x, xy[2 * row + 1] - bottom - side * own.y) < 1e-5 * side;
  assert.ok([...labels.keys()].some(isThere), 'the place of a cluster, of whatever shape, is that of a row');
  const x = [...labels.keys()]
    .filter((i) => labels[i] === 5)
    .map((i) => xy[2 * i])
    .sort((a, b) => a - b);
  assert.ok(Math.abs(left + side * own.x - x[x.length >> 1]) < 4, 'the median, of a sample');
  assert.equal(index.sample, n);
  assert.equal(map.sample().length, n * RECORD);
  assert.equal(map.density().length, DENSITY_CELLS ** 2);
  assert.equal(
    map.density().reduce((a, b) => Math.max(a, b)),
    255,
  );
});

test('rows at one place, a single row, and rows in a line', async () => {
  const same = mappedRun(join(folder, 'same'), new Float32Array(40_000).fill(3), new Int32Array(20_000));
  const { found } = await rowsIn(same, 20_000, 1);
  assert.equal(new Set(found.map(({ record }) => record.row)).size, 20_000);
  assert.ok(found.every(({ tile }) => tile.count < 1.5 * TILE_ROWS && tile.level <= DEEPEST));
  const one = await rowsIn(mappedRun(join(folder, 'one'), Float32Array.of(1, 2), new Int32Array(1)), 1, 1);
  assert.deepEqual([one.found.length, one.map.index.tiles.length], [1, 1]);
  const line = Float32Array.from({ length: 2000 }, (_, i) => (i % 2 ? -1e30 : i * 1e27));
  assert.equal(
    (await rowsIn(mappedRun(join(folder, 'line'), line, new Int32Array(1000)), 1000, 1)).found.length,
    1000,
  );
});

test('rows that are asked for are where the tiles have them, as exactly as the strongest magnification shows', async () => {
  const n = 70_000;
  const random = uniform(6);
  const xy = Float32Array.from({ length: 2 * n }, () => 10 * random());
  const run = mappedRun(join(folder, 'asked'), xy, new Int32Array(n));
  const { map, found } = await rowsIn(run, n, 1);
  const wanted = [0, 5, 65_535, 65_536, n - 1];
  const bytes = await map.rowsAt(wanted);
  assert.equal(bytes.length, FOUND * wanted.length);
  for (const [i, row] of wanted.entries()) {
    const own = readFound(new DataView(bytes.buffer), FOUND * i);
    const { tile, record } = found.find((one) => one.record.row === row)!;
    const { x, y, ...rest } = own;
    const { x: tileX, y: tileY, ...inTile } = record;
    assert.deepEqual(rest, inTile);
    const across = 2 ** tile.level;
    assert.ok(Math.abs(x - (tile.column + tileX) / across) < 2e-5 / across);
    assert.ok(Math.abs(y - (tile.row + tileY) / across) < 2e-5 / across);
  }
  assert.equal((await map.rowsAt([])).length, 0);
});

test('tiles are made once, and again for another map; damaged files and none', async () => {
  const TWO_ROWS = [Float32Array.of(0, 0, 1, 1), Int32Array.of(0, 1)] as const;
  const run = mappedRun(join(folder, 'again'), ...TWO_ROWS);
  const of = { run, rows: 2, k: 2 };
  await openMap(of);
  const { mtimeMs } = statSync(join(run, 'map/index.json'));
  await openMap(of);
  assert.equal(statSync(join(run, 'map/index.json')).mtimeMs, mtimeMs);
  const files = withHashes(run);
  assert.equal((await openMap(of))!.index.of.map, files['map.npy']);
  const refused = (pattern: RegExp) =>
    assert.rejects(openMap(of), (error) => error instanceof UserError && pattern.test(error.message));
  writeFileSync(join(run, 'map/index.json'), '{"rows": 2}');
  await refused(/map\/index.json is damaged/);
  const { index } = (await openMap({ ...of, run: mappedRun(join(folder, 'much'), ...TWO_ROWS) }))!;
  const tiles = index.tiles.map((tile) => ({ ...tile, count: 1e8 }));
  writeFileSync(join(run, 'map/index.json'), JSON.stringify({ ...index, tiles }));
  await refused(/map\/index.json is damaged \(its tiles have another number of rows than 2\)/);
  for (const [xy, pattern] of [
    [Float32Array.of(0, 0, Number.NaN, 1), /map.npy is damaged \(row 1 has NaN\)/],
    [Float32Array.of(0, 0), /map.npy is damaged .*shape \(1, 2\)/],
  ] as const) {
    const bad = mappedRun(join(folder, 'bad'), xy, Int32Array.of(0, 1));
    await assert.rejects(openMap({ ...of, run: bad }), pattern);
  }
  await assert.rejects(
    openMap({
      ...of,
      k: 1,
      run: mappedRun(join(folder, 'label'), ...TWO_ROWS),
    }),
    /the label 1/,
  );
  mkdirSync(join(folder, 'none'));
  assert.equal(await openMap({ run: join(folder, 'none'), rows: 2, k: 2 }), null);
});

test('no tiles are made of files other than run.json says, which would be shown after they are restored', async () => {
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
    assert.ok(!existsSync(join(own, 'map')), file);
    cpSync(join(own, 'kept'), join(own, file));
  }
  rmSync(join(own, 'kept'));
  assert.ok(await openMap(of));
});
