// Every recipe, trained by three workers of which some die, in every kind of task, gives its rows the labels that one worker gave them (those of test/golden);
// it has the same bytes when it is killed and resumed by one worker, and some behind a relay; predict and the exported models give the same labels.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { exportModel } from '../../library/export/export.ts';
import { openRun } from '../../library/open-run.ts';
import { predict } from '../../library/predict-files.ts';
import { NOISE } from '../../model/order.ts';
import { ariOfLabels } from '../../model/scores.ts';
import { ENTRIES } from '../../tasks/table.ts';
import { assertOnnxPredicts, exportedLabels } from '../e2e/exported.ts';
import { scratch, sha256 } from '../e2e/support.ts';
import { hashOf, knownHashes } from '../golden/golden.ts';
import { type Ended, epochsIn, type How, resumed, trained, updated } from './here.ts';
import { RECIPES, type Rows, SHARDS } from './recipes.ts';

const folder = scratch();
const known = knownHashes();

/** Kinds of tasks in which no worker has died yet. */
const deadly = new Set(Object.keys(ENTRIES));

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
    let ended: Ended;
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
      const saved = `${own}-killed`;
      const how = { workers: 3, sharedFiles: false, deathAfter: 1, deadly, copies: saved };
      ended = await run(`${own}-three`, how);
      const all = epochsIn(ended.events);
      const at = readdirSync(saved).map(Number);
      copies = kills.map((share) =>
        join(saved, `${Math.min(...at.filter((epochs) => epochs >= share * all))}`),
      );
    });

    test('finds its clusters', async () => {
      const { k } = ended.summary;
      assert.ok(k >= recipe.k[0] && k <= recipe.k[1], `K ${k}`);
      // Noise is one class more.
      const labels = (await openRun(ended.run)).result!.labels.map((label) => (label === NOISE ? k : label));
      const ari = ariOfLabels(labels, Int32Array.from(rows.classes));
      assert.ok(ari >= recipe.ari, `ARI ${ari}`);
      recipe.also?.(ended);
    });

    test('has the largest cluster first, in labels and responsibilities alike', async () => {
      const { labels, responsibilities } = (await openRun(ended.run)).result!;
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
      const { identity, hash } = hashOf(ended);
      assert.equal(hash, known[identity]?.[name], `npm run golden -- '${name}' --write, if that is meant`);
    });

    test('goes on when workers die, and repeats no epoch', () => {
      assert.ok(ended.deaths > 0);
      const epochs = ended.events.flatMap((event) => (event.type === 'epoch' ? [event.epoch] : []));
      // Alternations begin anew.
      const trainings = epochs.filter((epoch) => epoch === 1).length;
      assert.equal(epochs.length, trainings * new Set(epochs).size);
    });

    if (recipe.relayed)
      test('by two workers behind a relay, that are sent the rows', async () => {
        const relayed = await run(`${own}-relayed`, { workers: 2, sharedFiles: false, relay: true });
        assert.deepEqual(resultsOf(relayed.run), resultsOf(ended.run));
      });

    test('killed and resumed, by one worker that reads the rows itself', async () => {
      for (const copy of copies) {
        const again = await resumed(copy);
        const { from } = again.events.find((event) => event.type === 'resume')!;
        const isShorter = epochsIn(again.events) < epochsIn(ended.events);
        assert.ok(from !== null || isShorter, 'it went on from a checkpoint');
        assert.deepEqual(resultsOf(copy), resultsOf(ended.run));
        assert.deepEqual(foundIn(again), foundIn(ended));
      }
    });

    test('predict gives the rows their labels', async () => {
      const { labels, responsibilities, outliers } = (await openRun(ended.run)).result!;
      const found = await predict({ run: ended.run, data: rows.data, soft: responsibilities !== null });
      // Those of predict have columns of clusters without rows, too.
      if (found.k === ended.summary.k) assert.deepEqual(found.responsibilities, responsibilities);
      assert.deepEqual(found.labels, labels);
      assert.equal(found.outliers, outliers);
    });

    test('the exported models give them their labels', async () => {
      const { values, classes } = rows;
      const onnx = `${own}.onnx`;
      if (notExported) return assert.rejects(exportModel({ run: ended.run, onnx }), notExported);
      if (!values) return;
      const columns = values.length / classes.length;
      await assertOnnxPredicts(ended.run, values, columns, most);
      const { labels } = (await openRun(ended.run)).result!;
      if (needsMore) return;
      const { ids, k } = await predict({ run: ended.run, data: rows.data });
      // Noise is the output after those of the clusters.
      const saved = (await exportedLabels(ended.run, values, columns)).map((unit) =>
        unit < k ? (ids?.[unit] ?? unit) : NOISE,
      );
      const differ = saved.filter((label, row) => label !== labels[row]).length;
      assert.ok(differ <= most, `${differ} labels by TensorFlow.js differ`);
    });
  });

test('workers have died in every kind of task', { skip: asked && 'only some recipes were asked for' }, () =>
  assert.deepEqual([...deadly], []),
);
