// Updates: new rows go into a finished run, whose clusters keep their ids; the same bytes whoever computes them, and after a kill.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNpy, writeNpy } from '../../data/npy.ts';
import { predict, update } from '../../index.ts';
import type { PastUpdate } from '../../model/stream/findings.ts';
import { readModel } from '../../run/model-file.ts';
import { runFiles } from '../../run/run-files.ts';
import { holdDirectory } from '../../run/run-lock.ts';
import {
  changedCopy,
  D,
  dpmesh,
  easyData,
  eventsOf,
  jsonOf,
  K,
  known,
  labelsOf,
  library,
  ofType,
  pageUrlOf,
  QUICK,
  refused,
  resumed,
  runFileOf,
  scratch,
  sha256,
  start,
  trainArgs,
  unfinish,
  until,
} from './support.ts';
import { lineageOf, purity, replacedOnce, stateOf, updateArgs } from './updates.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const ROWS = 1500;
const all = easyData(folder, 'all', ROWS);
/** The cluster that is not in the first rows. */
const LATE = 5;

/** Writes the rows of these numbers. */
function rowsAt(name: string, numbers: readonly number[]) {
  const rows = Float32Array.from(numbers.flatMap((i) => [...all.rows.subarray(i * D, (i + 1) * D)]));
  writeNpy(path(name), '<f4', [numbers.length, D], rows);
  return { data: path(name), classes: numbers.map((i) => all.classes[i]) };
}
const numbers = [...Array(ROWS).keys()];
const first = rowsAt(
  'first.npy',
  numbers.slice(0, 750).filter((i) => all.classes[i] !== LATE),
);
const same = rowsAt(
  'same.npy',
  numbers.slice(750, 1125).filter((i) => all.classes[i] !== LATE),
);
const late = rowsAt('late.npy', numbers.slice(1125));

const hashesIn = (run: string) =>
  readdirSync(run, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => `${file} ${sha256(file)}`);

let untouched: string[];
/** By the second update. */
let printed: ReturnType<typeof jsonOf>;
before(async () => {
  const { k } = jsonOf(await dpmesh(trainArgs(first.data, path('run'), ...QUICK)));
  assert.equal(k, K - 1);
  untouched = hashesIn(path('run'));
  jsonOf(await dpmesh(updateArgs(path('run'), same.data, path('run-a'), '--workers', 1)));
  printed = jsonOf(await dpmesh(updateArgs(path('run-a'), late.data, path('run-b'), '--workers', 1)));
});

describe('an update', () => {
  test('of rows like those before: each cluster keeps its id, and the run before stays as it is', async () => {
    const { ids, lineage, update } = lineageOf(path('run-a'));
    assert.deepEqual([...ids].sort(), [0, 1, 2, 3, 4]);
    assert.deepEqual([update, lineage], [1, []]);
    const before = await predict({ run: path('run'), data: same.data });
    const after = labelsOf(path('run-a')).data;
    const kept = before.labels.filter((label, i) => label === after[i]).length;
    assert.ok(kept >= 0.99 * before.rows, `${kept} of ${before.rows} rows`);
    assert.deepEqual(hashesIn(path('run')), untouched);
    // The net of the map is the same, so rows have the places that the run before gives them.
    const [map, mapBefore] = ['run-a', 'run'].map((name) => readModel(runFiles(path(name))).model.map);
    assert.deepEqual(map, mapBefore);
    await predict({ run: path('run'), data: same.data, out: path('mapped.csv') });
    const places = (file: string) => readFileSync(file, 'utf8').replaceAll(/.*?,(?=[^,]*,[^,]*$)/gm, '');
    assert.equal(places(path('mapped.csv')), places(join(path('run-a'), 'labels.csv')));
  });

  test('finds a new cluster, whose id is new; labels, tables, predictions and descriptions have ids', async () => {
    const { ids, lineage, history } = lineageOf(path('run-b'));
    assert.deepEqual([...ids].sort(), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(lineage, [{ what: 'born', id: 5 }]);
    assert.deepEqual(
      history.map((past: PastUpdate) => [past.update, Object.keys(past.sizes).length, past.lineage]),
      [
        [0, 5, []],
        [1, 5, []],
        [2, 6, lineage],
      ],
    );
    const firstRows = runFileOf(path('run')).data.rows;
    assert.equal(history[0].rows, firstRows);
    // Of each cluster they are whole.
    assert.ok(Math.abs(history[1].rows - firstRows - same.classes.length) < K);
    const labels = labelsOf(path('run-b')).data;
    const isLate = late.classes.map((own) => own === LATE);
    const right = isLate.filter((is, i) => is === (labels[i] === 5)).length;
    assert.ok(right >= 0.99 * labels.length);
    const again = await predict({ run: path('run-b'), data: late.data, soft: true });
    assert.deepEqual([...again.labels], [...labels]);
    assert.deepEqual(again.ids, ids);
    const most = Array.from(labels, (_, i) => {
      const row = again.responsibilities!.subarray(i * again.k, (i + 1) * again.k);
      return ids[row.indexOf(Math.max(...row))];
    });
    assert.deepEqual(most, [...labels]);
    const [, ...lines] = readFileSync(join(path('run-b'), 'labels.csv'), 'utf8')
      .trim()
      .split('\n');
    assert.deepEqual(
      lines.map((line) => Number(line.split(',')[1])),
      [...labels],
    );
    const { clusters } = JSON.parse(readFileSync(join(path('run-b'), 'clusters.json'), 'utf8'));
    assert.deepEqual(
      clusters.map(({ id }: { id: number }) => id),
      ids,
    );
    assert.equal(runFileOf(path('run-b')).result.k, K);
  });

  test('says before it changes anything how the rows differ, and what became of clusters', async () => {
    const [quiet, loud] = ['run-a', 'run-b'].map((run) => eventsOf(path(run)));
    assert.deepEqual(ofType(quiet, 'drift')[0].alarms, []);
    assert.deepEqual(ofType(quiet, 'lineage'), []);
    assert.deepEqual(ofType(loud, 'drift')[0].alarms, ['unlike', 'less likely', 'shares']);
    assert.deepEqual(
      ofType(loud, 'lineage').map(({ what, id }) => [what, id]),
      [['born', 5]],
    );
    const [warning] = ofType(loud, 'warning');
    assert.match(warning.message, /late\.npy: the new rows are not like those before: \d+ % of them/);
    assert.equal(runFileOf(path('run-b')).result.notes[0], warning.message);
    const scaled = Float32Array.from(all.rows.slice(0, 250 * D), (x, p) => (p % D === 2 ? 1000 * x : x));
    writeNpy(path('scaled.npy'), '<f4', [250, D], scaled);
    const { stderr } = await dpmesh(updateArgs(path('run-a'), path('scaled.npy'), path('run-scaled')));
    assert.match(stderr, /(mean|spread) of column 2 \(counted from 0\) was/);
  });

  test('counts clusters that no new row is in', async () => {
    const only = rowsAt(
      'only.npy',
      numbers.slice(750, 1000).filter((i) => all.classes[i] === 3),
    );
    const { k } = jsonOf(await dpmesh(updateArgs(path('run-b'), only.data, path('run-only'))));
    assert.equal(k, K);
    assert.equal(new Set(labelsOf(path('run-only')).data).size, 1);
  });

  test('has ids, lineage and drift in what --json prints', () => {
    const { ids, lineage, drift } = lineageOf(path('run-b'));
    assert.deepEqual([printed.update, printed.ids, printed.lineage, printed.drift], [2, ids, lineage, drift]);
  });

  test('has a report, a cut and a comparison', async () => {
    const flags = ['--out', path('report'), '--labels', all.labels];
    refused(await dpmesh(['plot', path('run-b'), ...flags]), `${ROWS} labels`);
    assert.equal((await dpmesh(['plot', path('run-b'), '--out', path('report')])).code, 0);
    assert.ok(existsSync(join(path('report'), 'river.png')));
    const page = readFileSync(join(path('report'), 'report.html'), 'utf8');
    assert.ok(page.includes('<li>Update 2: cluster 5 is new</li>'));
    const { clusters } = jsonOf(await dpmesh(['cut', path('run-b'), '--clusters', 2, '--json']));
    assert.equal(clusters.length, 2);
    const whole = jsonOf(await dpmesh(['cut', path('run-b'), '--clusters', K, '--json']));
    const described = JSON.parse(readFileSync(join(path('run-b'), 'clusters.json'), 'utf8')).clusters;
    const byId = (all: [number, number][]) => all.sort(([a], [b]) => a - b);
    assert.deepEqual(
      byId(whole.clusters.map(({ from, rows }: { from: number[]; rows: number }) => [...from, rows])),
      byId(described.map(({ id, size }: { id: number; size: number }) => [id, size])),
    );
    const out = path('cut.npy');
    assert.equal((await dpmesh(['cut', path('run-b'), '--clusters', K, '--out', out])).code, 0);
    assert.equal(readNpy(out).data.length, late.classes.length);
  });

  test('is finished: its files are those that run.json has, and there is nothing to resume', async () => {
    const { files } = runFileOf(path('run-b'));
    assert.ok('stream/sample.npy' in files && 'stream/state.ckpt' in files);
    for (const [name, hash] of Object.entries(files))
      assert.equal(sha256(join(path('run-b'), name)), hash, name);
    const { code, stdout, stderr } = await dpmesh(['resume', path('run-b')]);
    assert.equal(code, 0, stderr);
    assert.match(stdout + stderr, /is finished/);
  });

  test('shows on its port how the rows differ, and what became of clusters', async () => {
    const shown = ['update', path('run-a'), '--data', late.data, '--out', path('shown'), '--no-report'];
    const running = start([...shown, '--http', '127.0.0.1:0', '--linger', 60]);
    const url = await pageUrlOf(running);
    const updates = () =>
      fetch(`${url}api/updates`).then((response) => response.status === 200 && response.json());
    let history = await updates();
    for (; !history; history = await updates()) await sleep(50);
    assert.deepEqual(history, lineageOf(path('run-b')).history);
    const metrics = await (await fetch(`${url}metrics`)).text();
    const metric = (name: string, label = '') =>
      Number(
        metrics
          .split('\n')
          .find((line) => line.startsWith(`dpmesh_${name}{${label}`))
          ?.split(' ')
          .at(-1),
      );
    assert.equal(metric('update'), 2);
    const [drift] = ofType(eventsOf(path('shown')), 'drift');
    assert.equal(metric('drift_unlikely_ratio'), 'unlike' in drift && drift.unlike);
    assert.equal(metric('drift_alarm', 'alarm="shares"'), 1);
    assert.equal(metric('lineage_total', 'what="born"'), 1);
    assert.equal(metric('lineage_total', 'what="gone"'), 0);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 0);
  });

  test('has the metrics of its drift in a later session too', async () => {
    const out = path('later');
    changedCopy(path('run-b'), out, (at) => unfinish(at, 'labels.npy'));
    const later = start(['resume', out, '--http', '127.0.0.1:0', '--linger', 60]);
    const metrics = await (await fetch(`${await pageUrlOf(later)}metrics`)).text();
    assert.match(metrics, /^dpmesh_drift_alarm\{alarm="shares",.*\} 1$/m);
    assert.match(metrics, /^dpmesh_drift_alarms_total\{alarm="shares",.*\} 0$/m);
    later.kill('SIGINT');
    await later.ended;
  });

  test('goes to the next free name, by the library', async () => {
    const found = await update({ run: path('run'), data: same.data, report: false });
    assert.equal(found.directory, path('run-2'));
    const { history, ...own } = lineageOf(path('run-a'));
    assert.deepEqual(found.update, own);
    assert.deepEqual(stateOf(path('run-2')), stateOf(path('run-a')));
  });
});

describe('a half-life', () => {
  test('leaves the rows that count', async () => {
    const out = path('faded');
    jsonOf(await dpmesh(updateArgs(path('run-a'), late.data, out, '--half-life', 75)));
    const { shape } = readNpy(join(out, 'stream', 'sample.npy'));
    const before = first.classes.length + same.classes.length;
    const faded = 2 ** (-late.classes.length / 75);
    // The sum of the weights 2^(−a/h) of all ages is h/ln 2.
    const expected = (1 - faded) * (75 / Math.LN2) + faded * before;
    assert.ok(Math.abs(shape[0] - expected) < 4 * Math.sqrt(expected), `${shape[0]}, not ${expected} rows`);
  });

  test('lets a cluster without rows go, and gives it its id again when it returns', async () => {
    const [left] = lineageOf(path('run-a')).ids;
    const before = (await predict({ run: path('run-a'), data: all.data })).labels;
    const without = rowsAt(
      'without.npy',
      numbers.filter((i) => before[i] !== left && all.classes[i] !== LATE).slice(0, 375),
    );
    const half = ['--half-life', 50];
    jsonOf(await dpmesh(updateArgs(path('run-a'), without.data, path('left'), ...half)));
    assert.deepEqual(lineageOf(path('left')).lineage, [{ what: 'gone', id: left }]);
    assert.ok(!lineageOf(path('left')).ids.includes(left));
    const back = rowsAt(
      'back.npy',
      numbers.slice(1125).filter((i) => all.classes[i] !== LATE),
    );
    jsonOf(await dpmesh(updateArgs(path('left'), back.data, path('back'), ...half)));
    assert.deepEqual(lineageOf(path('back')).lineage, [{ what: 'returned', id: left }]);
    const after = labelsOf(path('back')).data;
    const again = (await predict({ run: path('run-a'), data: back.data })).labels;
    assert.ok(again.filter((label, i) => label === after[i]).length >= 0.99 * after.length);
  });
});

describe('earlier rows', () => {
  const relabel = (out: string, ...more: (string | number)[]) =>
    dpmesh(updateArgs(path('run-a'), late.data, path(out), '--relabel', ...more));
  test('get labels of the new clusters, as these are', async () => {
    jsonOf(await relabel('again', '--workers', 2));
    assert.deepEqual(stateOf(path('again')), stateOf(path('run-b')));
    assert.deepEqual(readdirSync(join(path('again'), 'relabelled')).sort(), ['0.npy', '1.npy']);
    for (const [part, { data }] of [first, same].entries()) {
      const { labels } = await predict({ run: path('again'), data });
      assert.deepEqual([...readNpy(join(path('again'), 'relabelled', `${part}.npy`)).data], [...labels]);
    }
  });
  test('have to be there, and as they were', async () => {
    const bytes = readFileSync(same.data);
    rmSync(same.data);
    refused(await relabel('refused'), '--relabel', 'same.npy');
    assert.ok(!existsSync(path('refused')));
    const changed = Buffer.from(bytes);
    changed.writeFloatLE(9, bytes.length - 4);
    writeFileSync(same.data, changed);
    refused(await relabel('stopped'), '--relabel', 'same.npy has changed');
    writeFileSync(same.data, bytes);
    jsonOf(await resumed(path('stopped')));
    assert.deepEqual(runFileOf(path('stopped')).files, runFileOf(path('again')).files);
  });
});

describe('a transform that is estimated anew', () => {
  test('suits a column that is measured otherwise, and clusters keep their ids', async () => {
    const scaled = (of: Float32Array) => Float32Array.from(of, (x, p) => (p % D === 2 ? 1000 * x : x));
    const rows = (from: number, to: number) => scaled(all.rows.slice(from * D, to * D));
    writeNpy(path('first-km.npy'), '<f4', [ROWS, D], rows(0, ROWS));
    jsonOf(await dpmesh(trainArgs(path('first-km.npy'), path('km'), ...QUICK)));
    const half = Float32Array.from(rows(0, ROWS), (x, p) => (p % D === 2 ? x / 1000 + 9 : x));
    writeNpy(path('metres.npy'), '<f4', [ROWS, D], half);
    const flags = ['--half-life', 75, '--refit-transform'];
    const { k, notes } = jsonOf(
      await dpmesh(updateArgs(path('km'), path('metres.npy'), path('m'), ...flags)),
    );
    assert.match(notes[0], /--refit-transform/);
    assert.equal(k, K);
    const labels = labelsOf(path('m')).data;
    const before = labelsOf(path('km')).data.slice(0, ROWS);
    const right = purity(labels, before);
    assert.ok(right > 0.99, `${right}`);
    const later = Float32Array.from(half, (x) => x * 1.0001);
    writeNpy(path('later.npy'), '<f4', [ROWS, D], later);
    const next = jsonOf(await dpmesh(updateArgs(path('m'), path('later.npy'), path('m-later'))));
    assert.deepEqual([next.k, next.notes], [K, []]);
    assert.deepEqual(lineageOf(path('m-later')).lineage, []);
  });
});

describe('an update in place', () => {
  const run = path('place');
  const args = () => [
    ...['update', run, '--data', late.data, '--in-place', '--json', '--no-report', '--no-http'],
    ...['--workers', 1],
  ];
  const siblings = () => readdirSync(folder).filter((name) => name.startsWith('place'));
  /** What people keep in the folder of a run, also in its own ones, or by names that other runs have. */
  const KEPT = ['mine/notes.txt', 'report/notes.txt', 'labels/truth.csv', 'model/x.onnx', 'labels.parquet'];
  const keepNotes = (at: string) => {
    for (const name of KEPT) {
      mkdirSync(join(at, dirname(name)), { recursive: true });
      writeFileSync(join(at, name), name);
    }
    // Of an earlier report.
    writeFileSync(join(at, 'report', 'river.svg'), '');
  };
  const assertKept = (at: string) => {
    for (const name of KEPT) {
      assert.equal(readFileSync(join(at, name), 'utf8'), name);
      rmSync(join(at, name));
    }
    assert.ok(!existsSync(join(at, 'report', 'river.svg')));
  };

  test('takes the place of the run once it is complete, with the same bytes', async () => {
    changedCopy(path('run-a'), run, keepNotes);
    const { out } = jsonOf(await dpmesh(args()));
    assert.equal(out, run);
    assertKept(run);
    assert.deepEqual(stateOf(run), stateOf(path('run-b')));
    assert.deepEqual(siblings(), ['place']);
    const { labels } = await predict({ run, data: late.data });
    assert.deepEqual([...labels], [...labelsOf(run).data]);
  });

  test('that is killed or stopped leaves the run as it was, and can be made again', async () => {
    changedCopy(path('run-a'), run, () => {});
    const files = hashesIn(run);
    const isDrawn = () => existsSync(join(`${run}.update`, 'stream', 'drawn.ckpt'));
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const running = start([...args(), '--checkpoint-every', 0]);
      await until('its sample is drawn', isDrawn, running);
      if (signal === 'SIGKILL') await running.killAll();
      else running.kill(signal);
      await running.ended;
      assert.deepEqual(hashesIn(run), files);
      assert.deepEqual(siblings(), signal === 'SIGKILL' ? ['place', 'place.update'] : ['place']);
    }
    jsonOf(await dpmesh(args()));
    assert.deepEqual(stateOf(run), stateOf(path('run-b')));
    assert.deepEqual(siblings(), ['place']);
  });

  test('that was killed between its two renames is there for the next one', async () => {
    changedCopy(path('run-a'), `${run}.update`, (at) => writeFileSync(join(at, 'other.txt'), 'of now'));
    changedCopy(path('run'), run, (at) => {
      keepNotes(at);
      writeFileSync(join(at, 'other.txt'), 'of then');
    });
    // Of a process that is no more.
    const left = `${run}.${2 ** 22 + 1}-1.0123abcd.tmp`;
    renameSync(run, left);
    jsonOf(await dpmesh(args()));
    assertKept(run);
    assert.deepEqual(stateOf(run), stateOf(path('run-b')));
    assert.equal(readFileSync(join(run, 'other.txt'), 'utf8'), 'of now');
    // There cannot be both.
    assert.deepEqual(siblings(), ['place', basename(left)]);
    assert.deepEqual(readdirSync(left), ['other.txt']);
    rmSync(left, { recursive: true });
  });

  test('does not touch what lies where it is made, unless that is an earlier attempt', async () => {
    changedCopy(path('run'), `${run}.update`, (at) => writeFileSync(join(at, 'notes.txt'), 'mine'));
    const files = hashesIn(`${run}.update`);
    refused(await dpmesh(args()), 'place.update', 'move it away');
    assert.deepEqual(hashesIn(`${run}.update`), files);
    rmSync(`${run}.update`, { recursive: true });
  });

  test('is not for --out, which is another directory, nor for a run that another process holds', async () => {
    refused(await dpmesh([...args(), '--out', path('else')]), '--in-place', '--out');
    const files = hashesIn(run);
    const over = ['update', join(run, '.'), '--data', late.data, '--out', run, '--force', '--workers', 1];
    refused(await dpmesh(over), 'the run that is updated', '--in-place');
    // In a folder that --force would remove.
    const inner = path('outer/model/inner');
    changedCopy(run, path('outer'), () => {});
    changedCopy(run, inner, () => {});
    const filesOfInner = hashesIn(inner);
    const around = ['update', inner, '--data', late.data, '--out', path('outer'), '--force', '--workers', 1];
    refused(await dpmesh(around), inner, 'is among the files that --force would remove');
    assert.deepEqual(hashesIn(inner), filesOfInner);
    assert.deepEqual(hashesIn(run), files);
    const { release } = await holdDirectory(run);
    refused(await dpmesh(args()), 'place', 'in use');
    release();
  });
});

describe('a run that another one replaces while it is updated', () => {
  const [base, out] = [path('base'), path('mixed')];

  test('ends the update, and it cannot be resumed with the other, nor without any', async () => {
    changedCopy(path('run'), base, () => {});
    const replaced = replacedOnce(join(out, 'labels.npy'), base, path('run-b'), folder);
    const updated = await dpmesh(updateArgs(base, same.data, out), replaced);
    refused(updated, base, 'another has taken its place', `dpmesh update ${base}`);
    assert.equal(runFileOf(out).result, null);
    refused(await resumed(out), base, 'another has taken its place', `dpmesh update ${base}`);
    rmSync(base, { recursive: true });
    refused(await resumed(out), base, 'is gone', 'dpmesh resume');
  });

  test('can be brought back: the update goes on, with new names that its clusters got meanwhile', async () => {
    renameSync(`${base}-before`, base);
    await (await library()).renameCluster({ run: base, cluster: 1, name: 'The tall' });
    jsonOf(await resumed(out));
    const others = (run: string) =>
      stateOf(run).filter((line) => !/^(clusters\.json|labels\.csv)/.test(line));
    assert.deepEqual(others(out), others(path('run-a')));
    const namesIn = (run: string): Map<number, string> =>
      new Map(
        JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8')).clusters.map(
          ({ id, name }: { id: number; name: string }) => [id, name],
        ),
      );
    assert.deepEqual(namesIn(out), namesIn(path('run-a')).set(1, 'The tall'));
  });
});

describe('dpmesh update refuses', () => {
  const refuses = async (run: string, data: string, flags: (string | number)[], ...says: string[]) => {
    refused(await dpmesh(updateArgs(run, data, path('refused'), ...flags)), ...says);
    assert.ok(!existsSync(path('refused')));
  };
  test('a run that is not finished, or kept no sample', async () => {
    const run = path('run');
    const unfinished = changedCopy(run, path('unfinished'), (at) => rmSync(join(at, 'stream', 'state.ckpt')));
    await refuses(unfinished, same.data, [], 'cannot be updated', 'dpmesh train');
    await refuses(path('nothing'), same.data, [], 'not a run directory');
    const damaged = changedCopy(run, path('damaged'), (at) => {
      const file = join(at, 'stream', 'sample.npy');
      const bytes = readFileSync(file);
      bytes[bytes.length - 5] ^= 8;
      writeFileSync(file, bytes);
    });
    await refuses(damaged, same.data, [], 'sample.npy is damaged');
  });
  test('rows of other columns, or that cannot be computed with', async () => {
    writeNpy(path('wide.npy'), '<f4', [10, D + 1], new Float32Array(10 * (D + 1)));
    await refuses(path('run'), path('wide.npy'), [], `${D + 1} columns`, `trained on ${D}`);
    const bad = all.rows.slice(0, 50 * D);
    bad[7 * D] = Number.NaN;
    writeNpy(path('bad.npy'), '<f4', [50, D], bad);
    await refuses(path('run'), path('bad.npy'), [], 'NaN', 'row 7');
  });
  test('rows that are in it already', async () => {
    await refuses(path('run-b'), same.data, [], 'same.npy', 'update 1');
    await refuses(path('run-b'), first.data, [], 'the first run');
    // Whatever the shards.
    jsonOf(await dpmesh(trainArgs(same.data, path('sharded'), ...known(K - 1), '--shards', 3)));
    await refuses(path('sharded'), same.data, [], 'the first run');
  });
  test('a half-life that is none, and a directory that is in use', async () => {
    await refuses(path('run'), same.data, ['--half-life', 0], '--half-life');
    refused(await dpmesh(updateArgs(path('run'), same.data, path('run-a'))), 'already exists');
  });
});
