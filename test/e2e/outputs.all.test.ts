// What a run says of its rows and clusters: labels.csv, labels.parquet, clusters.json, their section of the report, predict.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { readNpy } from '../../data/npy.ts';
import { openRun } from '../../library/open-run.ts';
import type { ClusterDescription, SavedClusters } from '../../run/saved-clusters.ts';
import { fitted, NOTES, PEOPLE, people } from '../fitted.ts';
import { dpmesh, jsonOf, refused, resultHashes, runFileOf, scratch } from './support.ts';

const folder = scratch();
const records = (path: string) =>
  parse(readFileSync(path, 'utf8'), { columns: true }) as Record<string, string>[];

describe('a table with names and texts', () => {
  const run = join(folder, 'run');
  const { rows } = people(folder, 'people', 3);
  let data: string;
  let labels: Record<string, string>[];
  let clusters: ClusterDescription[];

  before(async () => {
    data = (await fitted('table', run)).data;
    assert.equal(runFileOf(run).result.k, 3);
    labels = records(join(run, 'labels.csv'));
    clusters = (JSON.parse(readFileSync(join(run, 'clusters.json'), 'utf8')) as SavedClusters).clusters;
  });

  test('labels.csv has each row with its name, and says what the .npy files say', () => {
    assert.deepEqual(Object.keys(labels[0]), [
      ...['name', 'cluster', 'cluster_name', 'confidence', 'distance', 'outlier_score'],
      ...['log_density', 'map_x', 'map_y'],
    ]);
    const column = (name: string) => readNpy(join(run, name)).data;
    const [cluster, confidence, distance] = ['labels.npy', 'confidences.npy', 'distances.npy'].map(column);
    assert.equal(labels.length, PEOPLE);
    const map = column('map.npy');
    for (const [i, row] of labels.entries()) {
      assert.equal(row.name, `person, ${i}`);
      assert.equal(Number(row.cluster), cluster[i]);
      assert.equal(row.cluster_name, clusters[cluster[i]].name);
      assert.ok(Math.abs(Number(row.confidence) - confidence[i]) < 1e-6);
      assert.ok(Math.abs(Number(row.distance) - distance[i]) < 1e-6);
      assert.ok(
        Math.abs(Number(row.map_x) - map[2 * i]) < 1e-6 &&
          Math.abs(Number(row.map_y) - map[2 * i + 1]) < 1e-6,
      );
      assert.ok(confidence[i] > 1 / 3 && confidence[i] <= 1);
    }
  });

  test('scores are ranks within a cluster', () => {
    for (const k of [0, 1, 2]) {
      const own = labels.filter(({ cluster }) => Number(cluster) === k);
      assert.equal(own.length, 300);
      const byDistance = own.toSorted((a, b) => Number(a.distance) - Number(b.distance));
      for (const [rank, { outlier_score }] of byDistance.entries())
        assert.ok(Math.abs(Number(outlier_score) - rank / 299) < 2e-3, `${rank} ${outlier_score}`);
    }
  });

  test('clusters.json says what each cluster is', () => {
    assert.deepEqual(
      clusters.map(({ cluster, size }) => [cluster, size]),
      [0, 1, 2].map((k) => [k, 300]),
    );
    for (const { cluster, exemplars, border, nearest, apart, evidence, words, texts } of clusters) {
      const own = [...labels.keys()].filter((i) => Number(labels[i].cluster) === cluster);
      const origin = own[0] % 3;
      const distance = (i: number) => Number(labels[i].distance);
      assert.deepEqual(
        exemplars.map(({ row, id }) => [row, id]),
        own
          .toSorted((a, b) => distance(a) - distance(b))
          .slice(0, 10)
          .map((i) => [i, `person, ${i}`]),
      );
      assert.equal(border.length, 10);
      for (const { row, other, margin } of border) {
        assert.ok(own.includes(row) && other !== cluster);
        // Of two clusters alone the margin would be 2r − 1.
        assert.ok(margin >= 2 * Number(labels[row].confidence) - 1 - 1e-5 && margin <= 1);
      }
      assert.deepEqual(
        nearest.map((own) => own.cluster).sort(),
        [0, 1, 2].filter((k) => k !== cluster),
      );
      assert.ok(nearest[0].distance > 5 && nearest[0].distance <= nearest[1].distance);
      const average = (list: number[]) => list.reduce((a, b) => a + b) / list.length;
      for (const { column, name, difference, mean, rest } of apart) {
        assert.equal(name, ['age', 'income'][column - 1]);
        const values = (of: (i: number) => boolean) =>
          rows.filter((_, i) => of(i)).map((row) => row[column - 1]);
        const all = values(() => true);
        const sd = Math.sqrt(average(all.map((x) => (x - average(all)) ** 2)));
        const inside = average(values((i) => own.includes(i)));
        const outside = average(values((i) => !own.includes(i)));
        assert.ok(Math.abs(mean - inside) < 1e-4 && Math.abs(rest - outside) < 1e-4);
        assert.ok(Math.abs(difference - (inside - outside) / sd) < 1e-4);
      }
      assert.ok(Math.abs(apart[0].difference) >= Math.abs(apart[1].difference));
      assert.ok(evidence?.join && evidence.join.clusters.length >= 1);
      const all = NOTES[origin].join(' ').split(' ');
      assert.ok(
        words!.length >= 3 &&
          words!.every(({ word }) => word !== 'the' && word.split(' ').every((part) => all.includes(part))),
      );
      assert.ok(texts!.length >= 1 && texts!.every((text) => NOTES[origin].includes(text)));
    }
  });

  test('the hashes of all of them are in run.json', () => {
    const { files } = runFileOf(run);
    for (const name of [
      ...['labels.csv', 'labels.parquet', 'clusters.json', 'confidences.npy', 'distances.npy', 'map.npy'],
      ...['log-densities.npy', 'model/model.safetensors'],
    ]) {
      assert.match(files[name], /^[0-9a-f]{64}$/, name);
      assert.ok(
        resultHashes(run).some((line) => line.startsWith(`${name} `)),
        name,
      );
    }
  });

  test('the report shows a card of each cluster', async () => {
    const drawn = await dpmesh(['plot', run]);
    assert.equal(drawn.code, 0, drawn.stderr);
    const page = readFileSync(join(run, 'report/report.html'), 'utf8');
    assert.match(page, /<h2 id="h-cards">What sets clusters apart<\/h2>/);
    assert.equal(page.match(/<article class="card" data-cluster="\d+">/g)!.length, 3);
    for (const { exemplars, words } of clusters)
      for (const shown of [exemplars[0].id!, words![0].word]) assert.ok(page.includes(shown), shown);
    assert.match(
      page,
      /<article .*<dl><dt>words<.*<dt>typical texts<.*<dt>columns that tell it from the others<.*<dt>typical rows</,
    );
  });

  test('numbers of a list, as of an embedding, are not what sets a cluster apart', async () => {
    const [path, out] = [join(folder, 'lists.jsonl'), join(folder, 'lists')];
    const lines = rows.map(([age, income]) => JSON.stringify({ place: [income, age] }));
    writeFileSync(path, lines.join('\n'));
    jsonOf(await dpmesh(['train', path, '--out', out, '--workers', 1, '--no-http', '--no-report', '--json']));
    const described: SavedClusters = JSON.parse(readFileSync(join(out, 'clusters.json'), 'utf8'));
    assert.deepEqual(
      described.clusters.map(({ apart }) => apart),
      [[], [], []],
    );
  });

  test('predict writes the same tables, by the ending of --out', async () => {
    const predict = (out: string, ...rest: string[]) =>
      dpmesh(['predict', '--run', run, '--data', data, '--out', join(folder, out), ...rest]);
    for (const ending of ['npy', 'csv', 'parquet']) {
      const { code, stderr } = await predict(`new.${ending}`);
      assert.equal(code, 0, stderr);
      const [own, other] = [join(folder, `new.${ending}`), join(run, `labels.${ending}`)];
      assert.ok(readFileSync(own).equals(readFileSync(other)), ending);
    }
    refused(await predict('new.txt'), /--out .*new\.txt must end in \.npy, \.csv or \.parquet$/);
    assert.ok(!existsSync(join(folder, 'new.txt')));
    // Clusters that are joined have no centre.
    await predict('joined.csv', '--clusters', '2');
    assert.deepEqual(Object.keys(records(join(folder, 'joined.csv'))[0]), [
      ...['name', 'cluster', 'confidence', 'map_x', 'map_y'],
    ]);
  });

  test('rows without that name have their numbers', async () => {
    const other = join(folder, 'other.csv');
    const five = rows.slice(0, 5).map((row) => row.join());
    writeFileSync(other, `age,income\n${five.join('\n')}\n`);
    const out = join(folder, 'numbered.csv');
    const { code, stderr } = await dpmesh(['predict', '--run', run, '--data', other, '--out', out]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /rows have their numbers as names: .*no column name/);
    assert.deepEqual(
      records(out).map(({ row, cluster, distance }) => [row, cluster, distance]),
      labels.slice(0, 5).map(({ cluster, distance }, i) => [String(i), cluster, distance]),
    );
  });

  test('the library gives them too', async () => {
    const { result } = await openRun(run);
    assert.deepEqual(result!.clusters, clusters);
    assert.deepEqual(result!.distances, readNpy(join(run, 'distances.npy')).data);
    assert.deepEqual(result!.map, readNpy(join(run, 'map.npy')).data);
    assert.deepEqual(result!.confidences, readNpy(join(run, 'confidences.npy')).data);
  });
});
