import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { writeNpy } from '../../data/npy.ts';
import { RECORD } from '../../model/map-records.ts';
import { generator } from '../../model/random.ts';
import {
  changedCopy,
  changeRunFile,
  dpmesh,
  ENDLESS,
  easyData,
  epochOf,
  jsonOf,
  type ProcessResult,
  QUICK,
  refused,
  scratch,
  start,
  times,
  until,
  writeRows,
} from './support.ts';

const folder = scratch();
const path = (name: string) => join(folder, name);
const N = 800;
const easy = easyData(folder, 'easy', N);
const run = path('run');
const ALL = ['clusters', 'clusters-dark', 'dendrogram', 'k', 'losses'];
/** Of a run whose places of rows are damaged: clusters on the axes of the centres, and a map of a sample. */
const WITHOUT_MAP = ['clusters', 'dendrogram', 'k', 'losses', 'map'];
/** At the end of a run, for print. */
const wide = (name: string) => (name.startsWith('clusters') ? 2700 : 1200);

/** The files of a report with these pictures. */
const files = (pictures: string[]) =>
  [...pictures.flatMap((name) => [`${name}.png`, `${name}.svg`]), 'report.html'].sort();
const listed = (report: string) => readdirSync(report).sort();
const train = (data: string, out: string, ...more: (string | number)[]) =>
  dpmesh(['train', '--data', data, '--out', out, '--workers', 1, ...QUICK, ...more]);
const plot = (from: string, ...more: string[]) => dpmesh(['plot', '--run', from, ...more]);

/** Exit 0 with these pictures, and one line for each note on omissions. */
function drawn(ended: ProcessResult, pictures: string[], ...notes: RegExp[]): void {
  assert.equal(ended.code, 0, ended.stderr);
  const drawnNames = ended.stdout.trim().split(': ').at(-1)!.split(', ').sort();
  assert.deepEqual(drawnNames, pictures.toSorted());
  const lines = ended.stderr.split('\n').filter(Boolean);
  assert.equal(lines.length, notes.length, ended.stderr);
  notes.forEach((note, i) => {
    assert.match(lines[i], note);
  });
}

/** A modified copy of the finished run. */
const copy = (name: string, change: (at: string) => void) => changedCopy(run, path(name), change);

describe('a report', { concurrency: 2 }, () => {
  let ended: ProcessResult;
  before(async () => {
    ended = await train(easy.data, run, '--labels', easy.labels);
  });

  test('is complete at the end of a run, and its path is printed', () => {
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, new RegExp(`^report +${run}/report/report.html$`, 'm'));
    assert.doesNotMatch(ended.stderr, /report|warning/);
    assert.deepEqual(listed(join(run, 'report')), files(ALL));
    for (const name of ALL) {
      const png = readFileSync(join(run, 'report', `${name}.png`));
      assert.deepEqual(png.subarray(1, 4).toString(), 'PNG');
      assert.equal(png.readUInt32BE(16), wide(name), name);
    }
  });

  test('is one file without external resources, with pictures, results and config', () => {
    const html = readFileSync(join(run, 'report', 'report.html'), 'utf8');
    const scripts = [...html.matchAll(/<script([^>]*)>/g)].map(([, attributes]) => attributes);
    assert.deepEqual(scripts, [' type="application/json" id="saved-run"', '']);
    assert.match(html, /default-src 'none'; script-src 'sha256-[^' ]+'; style-src 'sha256-[^' ]+';/);
    const still = html.replace(/<script.*?<\/script>/gs, '');
    assert.doesNotMatch(still, /<link|<img|<iframe|@import|src=|href=(?!"#main)| on[a-z]+=/);
    assert.deepEqual(
      [...html.matchAll(/https?:[^"' ]+/g)]
        .map(([address]) => address)
        .filter((a) => !a.includes('www.w3.org')),
      [],
    );
    for (const name of ALL.filter((own) => own !== 'clusters-dark'))
      assert.ok(html.includes(readFileSync(join(run, 'report', `${name}.svg`), 'utf8')), name);
    const { result, config, data } = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'));
    for (const text of [result.nmi.toFixed(4), result.silhouette.toFixed(4), data.fingerprint, config.data])
      assert.ok(html.includes(text), text);
    const titles = [...still.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, title]) => title).filter(Boolean);
    assert.deepEqual(titles, [
      ...['Map of all rows', 'Sample points', 'Clusters', 'Rows', 'What sets clusters apart'],
      ...['Clusters over updates', 'Tree of clusters'],
      ...['Clusters and classes', 'K over epochs', 'Losses', 'Workers', 'Events', 'Configuration', 'Result'],
    ]);
    assert.match(html, /Silhouette: how much nearer/);
    assert.match(html, /\d split steps? and \d merge steps? changed K\. There are \d true classes\./);
    const ids = [...still.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('is redrawn to the same bytes, in any folder', async () => {
    drawn(await plot(run, '--out', path('again')), ALL);
    // Of other programs, which stay.
    writeFileSync(path('again/confusion.png'), '<svg/>');
    drawn(await plot(run, '--out', path('again')), ALL);
    assert.equal(readFileSync(path('again/confusion.png'), 'utf8'), '<svg/>');
    rmSync(path('again/confusion.png'));
    mkdirSync(path('theirs'));
    writeFileSync(path('theirs/k.png'), 'mine');
    // Of another program.
    mkdirSync(path('others'));
    writeFileSync(path('others/report.html'), '<title>Results</title>');
    refused(await plot(run, '--out', path('others')), /has a report\.html that is not of a report/);
    assert.deepEqual(readdirSync(path('others')), ['report.html']);
    for (const [out, says] of [
      ['theirs', /^dpmesh: --out .* has a k\.png that is not of a report/],
      ['theirs/k.png', /^dpmesh: --out .* is a file, not a folder/],
    ] as const) {
      refused(await plot(run, '--out', path(out)), says);
    }
    for (const name of files(ALL))
      assert.deepEqual(readFileSync(path(`again/${name}`)), readFileSync(join(run, 'report', name)), name);
  });

  test('can be drawn again where a full disk ended it', async (t) => {
    const disk = path('disk');
    mkdirSync(disk);
    const mount = (size: string) =>
      spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'none', disk]).status === 0;
    // Not even report.html, or not all pictures.
    if (!mount('size=100k')) return t.skip('nothing can be mounted here');
    try {
      for (const size of ['100k', '400k']) {
        mount(`remount,size=${size}`);
        const ended = await plot(run, '--out', join(disk, 'report'));
        assert.equal(ended.code, 75, ended.stderr);
        assert.match(ended.stderr, /^dpmesh: [^\n]+written: no space left on the disk[^\n]*\n$/);
      }
      mount('remount,size=8m');
      drawn(await plot(run, '--out', join(disk, 'report')), ALL);
      assert.deepEqual(listed(join(disk, 'report')), files(ALL));
    } finally {
      spawnSync('umount', [disk]);
    }
  });

  test('labels of many and sparse classes, given later', async () => {
    const labels = path('sparse.npy');
    const classes = times(N, (i) => 10 ** 6 * ((i % 83) - 40));
    writeNpy(labels, '<i4', [N], classes);
    drawn(await plot(run, '--labels', labels, '--out', path('sparse')), ALL);
    assert.match(readFileSync(path('sparse/report.html'), 'utf8'), /44 others/);
  });

  test('without events no K and losses', async () => {
    const at = copy('bare', (at) => {
      rmSync(join(at, 'checkpoints'), { recursive: true });
      rmSync(join(at, 'events.jsonl'));
    });
    const pictures = ['clusters', 'clusters-dark', 'dendrogram'];
    drawn(await plot(at), pictures, /events\.jsonl is missing/);
    assert.deepEqual(listed(join(at, 'report')), files(pictures));
  });

  test('with places of all rows, the clusters are on this map, in dark too, and the page has a sample', async () => {
    const at = copy('mapped', () => {});
    assert.ok(existsSync(join(at, 'map.bin')));
    const html = readFileSync(join(at, 'report/report.html'), 'utf8');
    const { whole } = JSON.parse(/id="saved-run">(.*?)<\/script>/s.exec(html)![1]);
    assert.deepEqual([whole.index.rows, Buffer.from(whole.sample, 'base64').length], [N, RECORD * N]);
    assert.match(readFileSync(join(at, 'report/clusters-dark.svg'), 'utf8'), /fill="#181b20"/);
    rmSync(join(at, 'map.bin'));
    writeNpy(join(at, 'map.npy'), '<f4', [N, 2], new Float32Array(2 * N).fill(Number.NaN));
    drawn(
      await plot(at),
      WITHOUT_MAP,
      /map\.npy is damaged \(its SHA-256 is not .*: the map of all rows is left out/,
    );
  });

  test('missing or changed data: no points', async () => {
    const data = path('moved.npy');
    const at = copy('moved', (at) => changeRunFile(at, ({ config }) => Object.assign(config, { data })));
    drawn(
      await plot(at),
      ALL,
      /moved\.npy cannot be read: no such file or folder: the pictures show no points/,
    );
    const last = easy.rows.map((value, i) => (i < easy.rows.length - 5 ? value : value + 1));
    writeNpy(data, '<f4', [N, 5], last);
    drawn(await plot(at), ALL, /moved\.npy has changed since the run: the pictures show no points/);
    writeNpy(data, '<f4', [1, 5], [1, 2, 3, 4, 5]);
    drawn(await plot(at), ALL, /moved\.npy now has 1 rows × 5; the run had 800 × 5/);
  });

  test('a run that was killed: the clusters of its newest checkpoint', async () => {
    const at = path('killed');
    const flags = ['--no-early-stop', '--max-epochs', 100_000, '--json', '--workers', 1, ...QUICK];
    const running = start(['train', '--data', easy.data, '--out', at, ...flags]);
    await until('epoch 20', () => epochOf(at) >= 20, running);
    running.kill('SIGKILL');
    await running.ended;
    drawn(
      await plot(at),
      ['clusters', 'map', 'k', 'losses'],
      /the run is not finished: clusters are those of epoch \d+/,
    );
    assert.match(readFileSync(join(at, 'report', 'report.html'), 'utf8'), /clusters are those of epoch \d+/);
    rmSync(join(at, 'checkpoints'), { recursive: true });
    drawn(await plot(at), ['k', 'losses'], /not finished and has no checkpoint/);
    rmSync(join(at, 'events.jsonl'));
    refused(await plot(at), at, 'nothing to draw');
  });

  test('that cannot be written does not make the run fail', async () => {
    const at = path('blocked');
    const flags = [...ENDLESS, '--workers', 1, ...QUICK];
    const running = start(['train', '--data', easy.data, '--out', at, ...flags]);
    await until('epoch 10', () => epochOf(at) >= 10, running);
    running.kill('SIGINT');
    assert.equal((await running.ended).code, 130);
    writeFileSync(join(at, 'report'), 'in the way');
    const ended = await dpmesh(['finish', at, '--json']);
    jsonOf(ended);
    assert.match(
      ended.stderr,
      /^dpmesh: warning: no report was drawn: .*report cannot be written: .*; try again with: dpmesh plot --run .*$/m,
    );
    refused(await plot(at), 'report cannot be written');
  });
});

describe('runs that are hard to draw', { concurrency: 2 }, () => {
  const draw = generator(1n, 'hard');

  test('D = 1', async () => {
    const data = path('line.npy');
    writeRows(
      data,
      times(N, (i) => [draw.normal() + 20 * (i % 3)]),
    );
    const { k } = jsonOf(await train(data, path('line'), '--json'));
    assert.equal(k, 3);
    assert.deepEqual(listed(path('line/report')), files(ALL));
  });

  test('K = 1, and a transform to few axes', async () => {
    const data = path('ball.npy');
    writeRows(
      data,
      times(500, () => times(6, draw.normal)),
    );
    const ended = await train(data, path('ball'), '--json', '--transform', 'pca:2', '--covariance', 'diag');
    assert.equal(jsonOf(ended).k, 1);
    assert.doesNotMatch(ended.stderr, /report/);
    assert.deepEqual(listed(path('ball/report')), files(ALL.filter((name) => name !== 'dendrogram')));
  });
});

describe('dpmesh plot rejects', { concurrency: 2 }, () => {
  test('a folder that is not a run, damaged events', async () => {
    mkdirSync(path('empty'));
    refused(await plot(path('empty')), 'empty', 'run.json');
    refused(await plot(path('nowhere')), 'nowhere', 'run.json');
    const at = copy('damaged', (at) => appendFileSync(join(at, 'events.jsonl'), 'what is this?\n'));
    refused(await plot(at), 'events.jsonl line ', 'damaged');
  });

  test('labels of other rows, and a folder that is a file', async () => {
    writeNpy(path('few.npy'), '<i4', [3], [0, 1, 2]);
    refused(await plot(run, '--labels', path('few.npy')), '--labels', '3 labels', `${N} rows`);
    refused(await plot(run, '--labels', path('gone.npy')), 'gone.npy', 'no such file');
    refused(await plot(run, '--out', easy.data), easy.data, 'is a file, not a folder');
  });
});
