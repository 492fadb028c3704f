// A finished run that nothing computed, with texts that would be markup if they were not escaped.

import { RECORD, writeRecord } from '../../../model/map-records.ts';
import type { PastUpdate } from '../../../model/stream/findings.ts';
import { type DisplaySample, sampledRows } from '../../../page/drawing/display-sample.ts';
import { createMap, createViewer, type ModelView } from '../../../page/drawing/model-view.ts';
import type { ReportContents } from '../../../page/report/contents.ts';
import { type Crosstab, crosstab } from '../../../page/report/crosstab.ts';
import type { Described } from '../../../run/described.ts';
import type { TimedEvent } from '../../../run/events.ts';
import type { RunHistory } from '../../../run/history.ts';
import { aboutMap, type SampledMap } from '../../../run/whole-map.ts';
import { normal, treeOf, uniform, world } from '../browser/world.ts';

/** A name that breaks nowhere, and one that would be a script. */
export const LONG = 'a_name_that_is_wider_than_a_telephone_and_has_no_place_to_break_'.repeat(3);
export const HOSTILE = `</script><img src=x onerror="document.title='run'"><b>&amp;`;

/** K clusters in D dimensions with n points of a sample; `onMap`: these on a map. */
export function viewOf(k: number, dim: number, n = 600, onMap = false): ModelView {
  const { sample, stateAt, scale } = world({ clusters: k, dim, rows: n });
  const state = stateAt(200);
  const rows: DisplaySample = { rows: sample, dim, numbers: sampledRows(n, 10 * n) };
  const counts = state.weights.map((weight) => Math.round(10 * n * weight));
  const labels = Int32Array.from({ length: n }, (_, i) => nearestMean(state.means, sample, i, scale));
  const tree = k > 1 ? treeOf(state.means, counts) : null;
  const view = createViewer()({ ...state, counts, tree }, rows, labels, true);
  return onMap ? createMap()(view, rows, scale) : view;
}

/** All rows of such clusters on a map: n as a sample of ten times as many, with names that would be markup. */
export function sampledMap(k: number, n: number): SampledMap {
  const random = uniform(3);
  const sample = new Uint8Array(n * RECORD);
  const view = new DataView(sample.buffer);
  const centre = (cluster: number) => ({
    x: 0.15 + (0.7 * (cluster % 4)) / 4,
    y: 0.15 + (0.1 * cluster) / k,
  });
  for (let i = 0; i < n; i++) {
    // The last ones are noise.
    const cluster = i < 0.99 * n ? i % k : k;
    const { x, y } = centre(cluster);
    const place = { x: x + 0.02 * normal(random), y: y + 0.02 * normal(random) };
    writeRecord(view, i * RECORD, {
      row: 10 * i,
      ...place,
      cluster,
      confidence: random(),
      outlier: random(),
    });
  }
  const index = {
    ...{ rows: 10 * n, records: n, of: { map: null, labels: null }, box: { x: -3, y: -4, side: 9 } },
    home: [0.05, 0.05, 0.95, 0.6],
    places: Array.from({ length: k }, (_, c) => (c === 1 ? null : { rows: (10 * n) / k, ...centre(c) })),
  };
  const clusters = index.places.map((_, cluster) => ({ cluster, name: `${HOSTILE}${cluster}` }));
  const described = { measure: null, clusters } as unknown as Described;
  return { about: aboutMap(index, null, described), sample };
}

function nearestMean(means: number[][], rows: Float32Array, i: number, scale: readonly number[]): number {
  const distances = means.map((mean) =>
    mean.reduce((sum, value, d) => sum + (rows[i * mean.length + d] * scale[d] - value) ** 2, 0),
  );
  return distances.indexOf(Math.min(...distances));
}

/** The history of a run of so many epochs, whose K changed `changes` times. */
export function historyOf(epochs: number, changes = 0): RunHistory {
  const epoch = Array.from({ length: epochs }, (_, i) => i + 1);
  const time = '2026-11-24T14:03:07.000Z';
  return {
    epochs: {
      epoch,
      time: epoch,
      k: epoch.map((e) => (changes ? 1 + (Math.min(e - 1, changes) % 2) : 1)),
      loss: epoch.map((e) => 1 / e),
      subLoss: epoch.map((e) => (e % 4 ? e : null)),
    },
    events: [
      {
        type: 'worker-gone',
        worker: 'w1',
        pid: 1,
        host: 'a-host',
        how: 'killed',
        reason: 'killed',
        tasks: [],
        time,
      },
      { type: 'warning', message: HOSTILE, time },
      ...Array.from({ length: changes }, (_, i): TimedEvent => {
        const kind = i % 2 ? 'merge' : 'split';
        return { type: 'step', time, epoch: i + 1, kind, changed: 1, k: i % 2 ? 1 : 2 };
      }),
    ],
  };
}

export const K = 12;

/** A first run of three clusters, and three updates: one is born, two are merged, one splits, one is gone and returns. */
export const updatesOf = (): PastUpdate[] => [
  { update: 0, rows: 1000, sizes: { 0: 500, 1: 300, 2: 200 }, lineage: [] },
  {
    ...{ update: 1, rows: 2000, sizes: { 0: 800, 1: 600, 2: 400, 3: 200 } },
    lineage: [{ what: 'born', id: 3 }],
  },
  {
    ...{ update: 2, rows: 3000, sizes: { 0: 1900, 1: 700, 4: 400 } },
    lineage: [
      { what: 'gone', id: 3 },
      { what: 'split', id: 4, from: [0] },
      { what: 'merged', id: 2, into: [0] },
    ],
  },
  {
    ...{ update: 3, rows: 4000, sizes: { 0: 2000, 1: 1000, 4: 600, 3: 400 } },
    lineage: [{ what: 'returned', id: 3 }],
  },
];

const classes = (view: ModelView): Crosstab =>
  crosstab(
    view.clusters.map(({ rows }, c) => view.clusters.map((_, j) => (c === j ? rows : j ? 0 : 1))),
    view.clusters.map((_, c) => `${c}${HOSTILE}${LONG}`),
  );

/** Everything that a report can have. */
export function contentsOf(): ReportContents {
  const view = viewOf(K, 5);
  const rows = [0, 1].map((c) => view.typical[c].slice(0, 2));
  return {
    run: {
      ...{ name: 'x', out: 'runs/x', status: 'done', workers: [], controls: false, identity: 'wasm/1' },
      config: { maxEpochs: 100, data: LONG, seed: HOSTILE, labels: null },
      versions: { dpmesh: '1.0.0' },
      data: { path: LONG, rows: 6000, dim: 5, sample: null },
    },
    about: [['fingerprint', HOSTILE]],
    history: historyOf(40, 3),
    view,
    map: viewOf(K, 5, 600, true),
    whole: null,
    exemplars: {
      shape: { height: 4, width: 4, channels: 1, planar: false },
      range: [0, 255],
      k: K,
      clusters: [0, 1].map((cluster) => ({
        ...{ cluster, rows: view.clusters[cluster].rows, decoded: null, at: rows[cluster] },
        images: [1, 2].map((i) => new Float32Array(16).fill(90 * i)),
        border: { images: [], at: [] },
      })),
    },
    described: {
      measure: 'nats a row',
      clusters: [0, 1].map((cluster) => ({
        ...{ cluster, size: view.clusters[cluster].rows, share: 0.1 },
        exemplars: rows[cluster].map((row) => ({ row, id: LONG })),
        border: [{ row: 7, other: 3 }],
        apart: [
          { column: 495, difference: 2, mean: 1, rest: 0 },
          { column: 2, name: HOSTILE, difference: -1.25, mean: 12_345, rest: 0 },
        ],
        words: [{ word: cluster ? 'tide' : HOSTILE }],
        texts: [HOSTILE],
        evidence: { join: { clusters: [3, 4], height: 0.25 }, split: null },
      })),
    },
    confusion: classes(view),
    classes: K,
    updates: updatesOf(),
    outcome: {
      directory: 'runs/x',
      report: 'runs/x/report/report.html',
      result: {
        ...{ k: K, nmi: 0.9211, ari: 0.9342, acc: 0.95, silhouette: 0.5, loss: 0.01, seconds: 3 },
        notes: [HOSTILE],
        ...{ epochs: 40, rounds: 200, workers: 2, rows: 6000, outliers: 0, noise: 0, dim: 5, out: 'runs/x' },
        ...{ replicates: null, stability: null, evidence: null },
      },
    },
    withoutPoints: null,
    notes: [LONG],
  };
}
