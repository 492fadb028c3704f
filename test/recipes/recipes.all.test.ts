// Every recipe has the same bytes by one worker, by three of which one dies, some behind a relay, and when it is killed and resumed; predict and the exported
// models give its rows the labels that it gave them; and all of that is what it was in earlier versions.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { exportModel } from '../../library/export/export.ts';
import { openRun } from '../../library/open-run.ts';
import { predict } from '../../library/predict.ts';
import { NOISE } from '../../model/order.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { assertOnnxPredicts, exportedLabels } from '../e2e/exported.ts';
import { scratch, sha256 } from '../e2e/support.ts';
import { hashOf, knownHashes } from '../golden/golden.ts';
import { type Ended, epochsIn, type How, resumed, trained, updated } from './here.ts';
import { RECIPES, type Rows, SHARDS } from './recipes.ts';

const folder = scratch();
const known = knownHashes();

/** What differs from one run to another that has the same results: times, and which checkpoints were written. */
const OWN = /^(run\.json|events\.jsonl|report|checkpoints)\b|^labels\/seen$|\.tmp$/;

/** The hash of each file with results of a run, and of what the next update begins with. */
const resultsOf = (run: string): string[] =>
  readdirSync(run, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !OWN.test(file.slice(run.length + 1)))
    .sort()
    .map((file) => `${file.slice(run.length + 1)} ${sha256(file)}`);

/** What was found, without how long that took. */
const foundIn = ({ summary: { k, epochs, notes, replicates, outliers, noise } }: Ended) => ({
  k,
  noise,
  epochs,
  notes,
  replicates,
  outliers,
});

/** DPMESH_RECIPES=update,encoder: only those whose names begin so. */
const asked = process.env.DPMESH_RECIPES?.split(',');

for (const [name, recipe] of Object.entries(RECIPES).filter(
  ([name]) => !asked || asked.some((begin) => name.startsWith(begin)),
))
  describe(name, () => {
    const own = join(folder, name.replaceAll(/\W+/g, '-'));
    const { data, options = {}, later, asked, kills = [0.5], most = 0, notExported, needsMore } = recipe;
    let rows: Rows;
    let run: (out: string, how?: How) => Promise<Ended>;
    let one: Ended;
    let copies: string[];
    before(async () => {
      rows = await data(folder);
      run = (out, how) => trained({ shards: SHARDS, ...options, data: rows.data }, out, how);
      if (later) {
        await run(`${own}-before`);
        rows = await later(folder);
        run = (out, how) =>
          updated(`${own}-before`, { data: rows.data, shards: SHARDS }, out, { asked, ...how });
      }
      one = await run(`${own}-one`);
    });

    test('finds its clusters', async () => {
      const { k } = one.summary;
      assert.ok(k >= recipe.k[0] && k <= recipe.k[1], `K ${k}`);
      // Noise is one class more.
      const labels = (await openRun(one.run)).result!.labels.map((label) => (label === NOISE ? k : label));
      const ari = ariOfLabels(labels, Int32Array.from(rows.classes));
      assert.ok(ari >= recipe.ari, `ARI ${ari}`);
      recipe.also?.(one);
    });

    test('has the largest cluster first, in labels and responsibilities alike', async () => {
      const { labels, responsibilities } = (await openRun(one.run)).result!;
      const sizes: number[] = [];
      for (const label of labels) if (label !== NOISE) sizes[label] = (sizes[label] ?? 0) + 1;
      // Those of an update have kept their ids.
      if (!later)
        assert.deepEqual(
          sizes,
          sizes.toSorted((a, b) => b - a),
        );
      if (!responsibilities || later) return;
      const k = responsibilities.length / labels.length;
      for (const [row, label] of labels.entries()) {
        if (label === NOISE) continue;
        const own = responsibilities.subarray(row * k, (row + 1) * k);
        assert.equal(own.indexOf(Math.max(...own)), label);
      }
    });

    test('gives its rows the labels that it always gave', () => {
      const { identity, hash } = hashOf(one);
      assert.equal(hash, known[identity]?.[name], `npm run golden -- '${name}' --write, if that is meant`);
    });

    test('by three workers, of which one dies, that are sent the rows', async () => {
      copies = kills.map((_, i) => `${own}-killed-${i}`);
      const all = epochsIn(one.events);
      const three = await run(`${own}-three`, {
        ...{ workers: 3, sharedFiles: false, deathAt: Math.ceil(one.operations / 2) },
        kills: kills.map((share, i) => ({ epochs: Math.ceil(share * all), copy: copies[i] })),
      });
      assert.equal(three.deaths, 1);
      assert.deepEqual(resultsOf(three.run), resultsOf(one.run));
      assert.deepEqual(foundIn(three), foundIn(one));
    });

    if (recipe.relayed)
      test('by two workers behind a relay, that are sent the rows', async () => {
        const relayed = await run(`${own}-relayed`, { workers: 2, sharedFiles: false, relay: true });
        assert.deepEqual(resultsOf(relayed.run), resultsOf(one.run));
      });

    test('killed and resumed', async () => {
      for (const copy of copies) {
        const again = await resumed(copy);
        const { from } = again.events.find((event) => event.type === 'resume')!;
        const isShorter = epochsIn(again.events) < epochsIn(one.events);
        assert.ok(from !== null || isShorter, 'it went on from a checkpoint');
        assert.deepEqual(resultsOf(copy), resultsOf(one.run));
        assert.deepEqual(foundIn(again), foundIn(one));
      }
    });

    test('predict gives the rows their labels', async () => {
      const { labels, responsibilities, outliers } = (await openRun(one.run)).result!;
      const found = await predict({ run: one.run, data: rows.data, soft: responsibilities !== null });
      // Those of predict have columns of clusters without rows, too.
      if (found.k === one.summary.k) assert.deepEqual(found.responsibilities, responsibilities);
      assert.deepEqual(found.labels, labels);
      assert.equal(found.outliers, outliers);
    });

    test('the exported models give them their labels', async () => {
      const { values, classes } = rows;
      const onnx = `${own}.onnx`;
      if (notExported) return assert.rejects(exportModel({ run: one.run, onnx }), notExported);
      if (!values) return;
      const columns = values.length / classes.length;
      await assertOnnxPredicts(one.run, values, columns, most);
      const { labels } = (await openRun(one.run)).result!;
      if (needsMore) return;
      const { ids, k } = await predict({ run: one.run, data: rows.data });
      // Noise is the output after those of the clusters.
      const saved = (await exportedLabels(one.run, values, columns)).map((unit) =>
        unit < k ? (ids?.[unit] ?? unit) : NOISE,
      );
      const differ = saved.filter((label, row) => label !== labels[row]).length;
      assert.ok(differ <= most, `${differ} labels by TensorFlow.js differ`);
    });
  });
