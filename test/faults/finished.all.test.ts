import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { MODEL } from '../../run/model-file.ts';
import {
  changeRunFile,
  D,
  dpmesh,
  easyData,
  jsonOf,
  library,
  QUICK,
  refused,
  resultHashes,
  runFileOf,
  scratch,
  sha256,
  start,
  type TestData,
  times,
  trainArgs,
  until,
  writeRows,
} from '../e2e/support.ts';
import { updateArgs } from '../e2e/updates.ts';

/** Who takes what for a finished run, while that is written, and after its process was killed. */

const folder = scratch();
const path = (name: string) => join(folder, name);
const { cut, exportMap, exportModel, follow, openRun, predict, renameCluster, serve, update } =
  await library();
const killer = pathToFileURL(join(import.meta.dirname, 'kill-at.mjs')).href;
const killing = (at: number | string) => ({
  env: { DPMESH_KILL_AT: String(at), NODE_OPTIONS: `--import=${killer}` },
  grace: 10,
});

let easy: TestData;
let late: string;
/** The labels that `old` and its update `new` give to the rows of `easy`. */
let [ofOld, ofNew]: string[] = [];
const labelsBy = async (run: string) => {
  await predict({ run, data: easy.data, out: path('p.npy'), force: true });
  return sha256(path('p.npy'));
};
before(async () => {
  easy = easyData(folder, 'easy', 600);
  // The largest clusters become the smallest, so that numbers are not ids.
  const rows = Array.from(easy.classes, (own, i) => ({ own, row: easy.rows.slice(i * D, (i + 1) * D) }));
  const kept = rows.filter(({ own }, i) => own < 3 || i % 8 === 0);
  late = writeRows(
    path('late.npy'),
    [0.01, -0.01, 0.02, -0.02].flatMap((by) => kept.map(({ row }) => row.map((value) => value + by))),
  );
  jsonOf(await dpmesh(trainArgs(easy.data, path('old'), '--workers', 1, ...QUICK, '--max-epochs', 5)));
  jsonOf(await dpmesh(updateArgs(path('old'), late, path('new'))));
  const { ids } = runFileOf(path('new'));
  assert.notDeepEqual(ids, [...ids.keys()]);
  [ofOld, ofNew] = [await labelsBy(path('old')), await labelsBy(path('new'))];
  assert.notEqual(ofOld, ofNew);
});

function copied(from: string, to: string): string {
  rmSync(path(to), { recursive: true, force: true });
  cpSync(path(from), path(to), { recursive: true });
  return path(to);
}

describe('a run that was killed before it had its result', () => {
  test('is not taken for a finished one by anybody, and goes on', async () => {
    const run = copied('old', 'killed');
    // All files of its model are there.
    const ended = await dpmesh(
      updateArgs(path('old'), late, run, '--force'),
      killing(join('killed', 'clusters.json')),
    );
    assert.equal(ended.code, null, ended.stderr);
    assert.ok(existsSync(join(run, MODEL)));
    const unfinished = { name: 'UserError', message: /is not finished; continue it with: dpmesh resume/ };
    const drain = async (things: AsyncIterable<unknown>) => {
      for await (const _ of things);
    };
    mkdirSync(path('empty'));
    const attempts = {
      predict: () => predict({ run, data: easy.data }),
      serve: () => serve({ runs: run, http: '127.0.0.1:0' }),
      export: () => exportModel({ run, onnx: path('m.onnx') }),
      map: () => exportMap({ run, datamapplot: path('m.npz') }),
      cut: () => cut({ run, clusters: 2 }),
      rename: () => renameCluster({ run, cluster: 0, name: 'mine' }),
      update: async () => update({ run, data: late, out: path('never') }),
      follow: () => drain(follow({ run, data: path('empty'), out: path('never'), once: true })),
    };
    for (const [name, attempt] of Object.entries(attempts))
      await assert.rejects(attempt(), unfinished, `${name} takes it`);
    refused(
      await dpmesh(['evaluate', '--pred', join(run, 'labels.npy'), '--labels', join(run, 'labels.npy')]),
      'is not finished',
    );
    assert.ok(!existsSync(path('never')));
    assert.equal((await openRun(run)).result, null);
    jsonOf(await dpmesh(['resume', run, '--json', '--no-report', '--no-http']));
    assert.deepEqual(resultHashes(run), resultHashes(path('new')));
    assert.equal(await labelsBy(run), ofNew);
  });
});

describe('a finished run', () => {
  test('whose ids are not those of its clusters is damaged', async () => {
    const changes: [RegExp, (ids: number[]) => number[]][] = [
      [/damaged \(it has \d+ ids of \d+ clusters/, (ids) => ids.slice(1)],
      [/damaged \(it has \d+ ids of \d+ clusters/, (ids) => [...ids, 99]],
      [/damaged \(two of its clusters have the same id/, ([, ...ids]) => [ids[0], ...ids]],
    ];
    for (const [message, change] of changes) {
      const run = copied('new', 'damaged');
      changeRunFile(run, (file) => {
        file.ids = change(file.ids);
      });
      for (const attempt of [
        () => predict({ run, data: easy.data }),
        () => cut({ run, clusters: 2 }),
        () => openRun(run),
        async () => update({ run, data: late, out: path('never') }),
      ])
        await assert.rejects(attempt(), { name: 'UserError', message });
    }
  });
});

describe('an update in place that is killed', () => {
  const run = path('place');
  const args = [
    'update',
    run,
    '--data',
    '',
    '--in-place',
    '--json',
    '--no-report',
    '--no-http',
    '--workers',
    '1',
  ];
  const inPlace = () => args.map((arg) => arg || late);
  const siblings = () => readdirSync(folder).filter((name) => name.startsWith('place'));
  /** What the run is by then. */
  const MOMENTS: [string | number, 'old' | 'new'][] = [
    // Before and after the folder is made, in which there is nothing yet.
    [1, 'old'],
    ['place.update/run.json', 'old'],
    ['place.update/clusters.json', 'old'],
    // Complete, and not yet in its place.
    ['place.update/stream/drawn.ckpt', 'old'],
    ['place', 'new'],
  ];
  for (const [at, what] of MOMENTS)
    test(`at ${at} leaves the ${what} run, and the same command makes it whole`, async () => {
      rmSync(`${run}.update`, { recursive: true, force: true });
      copied('old', 'place');
      const killed = await dpmesh(inPlace(), killing(at));
      assert.equal(killed.code, null, killed.stderr);
      if (at === 'place') assert.ok(!existsSync(run), 'it is between its two renames');
      assert.equal(await labelsBy(run), what === 'old' ? ofOld : ofNew);
      jsonOf(
        await dpmesh([
          'evaluate',
          '--pred',
          join(run, 'labels.npy'),
          '--labels',
          join(run, 'labels.npy'),
          '--json',
        ]),
      );
      const again = await dpmesh(inPlace());
      if (what === 'new') refused(again, 'its rows are in');
      else jsonOf(again);
      assert.equal(await labelsBy(run), ofNew);
      if (what === 'old') assert.deepEqual(siblings(), ['place']);
    });

  test('does not take what somebody else has made there for its own', async () => {
    copied('old', 'place');
    // By --out: it is complete, and was not to take the place.
    copied('new', 'place.update');
    const files = resultHashes(`${run}.update`);
    refused(await dpmesh(inPlace()), 'place.update', 'move it away');
    assert.deepEqual(resultHashes(`${run}.update`), files);
    changeRunFile(`${run}.update`, (file) => {
      file.update = { ...file.update, run: path('other'), inPlace: true };
    });
    refused(await dpmesh(inPlace()), 'place.update', 'move it away');
    changeRunFile(`${run}.update`, (file) => {
      file.update.run = run;
    });
    jsonOf(await dpmesh(inPlace()));
    assert.deepEqual(siblings(), ['place']);
  });
});

describe('serve --watch, while the run that it serves is replaced', () => {
  for (const how of ['--force', '--in-place'])
    test(`by an update ${how}: every request has an answer, with one model a version`, async () => {
      const run = copied('old', 'served');
      const serving = start(['serve', run, '--http', '127.0.0.1:0', '--watch']);
      const [, url] = await until(
        'its address',
        () => /: (http:\S+\/v2\/models\/served)\n/.exec(serving.stderr()),
        serving,
      );
      const body = JSON.stringify({
        inputs: [{ name: 'rows', datatype: 'FP32', shape: [600, D], data: Array.from(easy.rows) }],
      });
      const seen = new Map<string, string>();
      let isOver = false;
      const client = async () => {
        while (!isOver) {
          const answer = await fetch(`${url}/infer`, { method: 'POST', body });
          const text = await answer.text();
          assert.equal(answer.status, 200, text);
          const { model_version, outputs } = JSON.parse(text);
          const found = JSON.stringify(outputs);
          assert.equal(found, seen.get(model_version) ?? found, 'the same version, the same answer');
          seen.set(model_version, found);
        }
      };
      const clients = Promise.all(times(2, client)).finally(() => {
        isOver = true;
      });
      await until('an answer', () => seen.size || isOver, serving);
      const where = how === '--force' ? updateArgs(path('old'), late, run, how) : null;
      jsonOf(
        await dpmesh(
          where ?? ['update', run, '--data', late, how, '--json', '--no-report', '--no-http', '--workers', 1],
        ),
      );
      await until('the new model', () => seen.size === 2 || isOver, serving);
      isOver = true;
      await clients;
      const labels = [...seen.values()].map((text) => JSON.parse(text)[0].data);
      const own = async (of: string) => [...(await predict({ run: path(of), data: easy.data })).labels];
      assert.deepEqual(labels, [await own('old'), await own('new')]);
      serving.kill('SIGTERM');
      assert.equal((await serving.ended).code, 0);
    });
});
