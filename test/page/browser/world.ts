// A simulated run for the mock server: Gaussians, the states that lead to them, epochs, events and rounds.

import type { MergeTree, StateOf, WorkSpan } from '../../../page/drawing/api.ts';
import type { TimedEvent } from '../../../run/events.ts';
import type { Epochs } from '../../../run/history.ts';

export interface WorldOptions {
  /** Clusters at the end. */
  clusters: number;
  dim: number;
  /** Rows of the display sample. */
  rows: number;
  workers?: number;
  /** The part before the slash in worker names. */
  host?: string;
}

/** Repeatable uniform numbers (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const normal = (random: () => number) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

export type World = ReturnType<typeof world>;

/** Of the state of a run that is not over. */
const BEFORE = { frozen: 0, covariance: 'full', counts: null, tree: null, sample: 1 } as const;
const EVERY = 6;
const BEGUN = Date.UTC(2026, 10, 24, 14, 3, 0);
const SECONDS = 0.15;

/** With `kAt` and `stateAt` epochs, what an epoch adds to the history, and how that starts. */
export function world({ clusters, dim, rows, workers = 4, host = 'local' }: WorldOptions) {
  const random = uniform(7);
  const means = Array.from({ length: clusters }, () =>
    Array.from(
      { length: dim },
      (_, i) => (i < 3 ? 7 / (1 + 0.35 * i) : 1.2) * normal(random) * (clusters / 8) ** 0.35,
    ),
  );
  const factors = means.map(() =>
    Array.from({ length: dim * dim }, (_, p) => {
      const [i, j] = [Math.floor(p / dim), p % dim];
      if (i === j) return 0.45 + 0.75 * random();
      return j < i ? 0.35 * normal(random) : 0;
    }),
  );
  const raw = means.map(() => 0.4 + random());
  const weights = raw.map((w) => w / raw.reduce((a, b) => a + b));
  const square = Array.from({ length: dim * dim }, (_, p) => [Math.floor(p / dim), p % dim]);
  const covariances = factors.map((l) =>
    square.map(([i, j]) => {
      let sum = 0;
      for (let p = 0; p < dim; p++) sum += l[i * dim + p] * l[j * dim + p];
      return sum;
    }),
  );
  const scale = Array.from({ length: dim }, (_, i) => 2 + 0.25 * (i % 4));
  const sample = new Float32Array(rows * dim);
  for (let n = 0; n < rows; n++) {
    let u = random();
    let c = 0;
    while (c < clusters - 1 && (u -= weights[c]) > 0) c++;
    const z = Array.from({ length: dim }, () => normal(random));
    for (let i = 0; i < dim; i++) {
      let x = means[c][i];
      for (let j = 0; j <= i; j++) x += factors[c][i * dim + j] * z[j];
      sample[n * dim + i] = x / scale[i];
    }
  }
  // Neighbours in this order are close in space, so groups of them look like clusters.
  const order = [...means.keys()].sort((a, b) => means[a][0] - means[b][0]);

  const kAt = (epoch: number) => {
    const splits = Math.floor((epoch + EVERY) / (2 * EVERY));
    const merges = Math.floor(epoch / (2 * EVERY));
    let k = 1;
    for (let s = 1; s <= splits; s++) {
      k = Math.min(clusters, Math.ceil(k * 1.7) + 1);
      if (s % 3 === 0 && merges >= s && k > 3 && s < 9) k -= 1;
    }
    return Math.min(k, clusters);
  };

  function stateAt(epoch: number): StateOf {
    const k = kAt(epoch);
    const groups = Array.from({ length: k }, () => [] as number[]);
    for (const [i, c] of order.entries()) groups[Math.floor((i * k) / clusters)].push(c);
    const sum = (group: number[], of: (c: number) => number) => group.reduce((all, c) => all + of(c), 0);
    const w = groups.map((group) => sum(group, (c) => weights[c]));
    const m = groups.map((group, g) =>
      Array.from({ length: dim }, (_, i) => sum(group, (c) => weights[c] * means[c][i]) / w[g]),
    );
    const off = (c: number, g: number, i: number) => means[c][i] - m[g][i];
    const s = groups.map((group, g) =>
      square.map(
        ([i, j], p) =>
          sum(group, (c) => weights[c] * (covariances[c][p] + off(c, g, i) * off(c, g, j))) / w[g],
      ),
    );
    return {
      ...BEFORE,
      epoch,
      k,
      weights: w,
      means: m,
      covariances: s,
      sizes: w.map((weight) => weight * 20_144),
      splitRatio: w.map((_, g) => {
        if (epoch < EVERY) return null;
        return groups[g].length > 1 ? 40.2 + 13 * g : -12.4 - 3.1 * g;
      }),
      scale,
      classifier: nearestMean(m.map((mean) => mean.map((v, i) => v / scale[i]))),
    };
  }

  function epochOf(epoch: number) {
    const noise = uniform(1000 + epoch);
    const k = kAt(epoch - 1);
    const since = epoch % EVERY || EVERY;
    const own = 0.004 + 0.4 * Math.exp(-0.9 * since) + 0.002 * noise();
    const loss = k === 1 ? null : own * (1 + 3 * Math.exp(-epoch / 30));
    const trainsSubs = Math.floor((epoch - 1) / EVERY) % 2 === 0;
    const subLoss = trainsSubs ? 1.1 + 0.9 * Math.exp(-since / 2) + 0.05 * noise() : null;
    const end = epoch * SECONDS;
    const time = new Date(BEGUN + 1000 * end).toISOString();
    const events: TimedEvent[] = [];
    if (epoch % EVERY === 0) {
      const after = kAt(epoch);
      const kind = (epoch / EVERY) % 2 ? 'split' : 'merge';
      for (let c = 0; c < k; c++) {
        const accepted = kind === 'split' ? c < after - k : c < k - after;
        const clusters = kind === 'split' ? [c] : [c, (c + 1) % k];
        const [points, logRatio] = [[1400 + c, 903], accepted ? 812.4 - c : -31.4 - c];
        if (kind === 'split' || c + 1 < k)
          events.push({ time, type: kind, epoch, clusters, points, logRatio, accepted });
      }
      events.push({ time, type: 'step', epoch, kind, changed: Math.abs(after - k), k: after });
      events.push({ time, type: 'checkpoint', epoch, bytes: 183_000 + epoch, seconds: 0.004 });
    }
    const work: WorkSpan[] = [];
    for (let r = 0; r < 3; r++) {
      const task = ['cluster-steps', trainsSubs ? 'sub-steps' : 'statistics', 'statistics'][r];
      const from = end - SECONDS + (r * SECONDS) / 3;
      const per = Math.ceil(8 / workers);
      for (let worker = 0; worker < workers; worker++) {
        let at = from + 0.002 * noise();
        for (let shard = worker * per; shard < Math.min(8, (worker + 1) * per); shard++) {
          const took = (0.8 * SECONDS * (0.7 + 0.3 * noise())) / 3 / per;
          work.push([`${host}/${worker}`, task, epoch, 3 * epoch + r, shard, shard, at, at + took]);
          at += took;
        }
      }
    }
    return { row: [epoch, end, k, loss, subLoss] as const, events, work };
  }

  const start = (): TimedEvent[] => {
    const time = new Date(BEGUN).toISOString();
    const wasm = { host: 'node7', backend: 'wasm', identity: 'wasm/4.22.0', why: '' };
    return [
      ...Array.from({ length: workers }, (_, w): TimedEvent => {
        const [worker, name] = [`w${w + 1}`, `${host}/${w}`];
        return { time, type: 'worker', worker, name, pid: 4711 + w, ...wasm };
      }),
      { time, type: 'start', rows: 70_000, dim, sample: 20_144, shards: 8 },
    ];
  };
  return { sample, dim, scale, kAt, stateAt, epoch: epochOf, start };
}

export const noEpochs = (): Epochs => ({ epoch: [], time: [], k: [], loss: [], subLoss: [] });

/** Neighbours along the first axis join, the closest first. */
export function treeOf(means: readonly number[][], sizes: readonly number[]): MergeTree {
  const order = [...means.keys()].sort((a, b) => means[a][0] - means[b][0]);
  const gaps = order.slice(1).map((c, i) => ({ i, gap: means[c][0] - means[order[i]][0] }));
  gaps.sort((a, b) => a.gap - b.gap);
  const nodes = [...order];
  const joins = gaps.map(({ i, gap }, j) => {
    const [a, b] = [nodes[i], nodes[i + 1]].sort((x, y) => x - y);
    for (const [p, node] of nodes.entries()) if (node === a || node === b) nodes[p] = means.length + j;
    return { a, b, height: gap / 10 };
  });
  return { likelihood: 'gaussian', measure: 'nats a row: what the evidence loses', sizes, joins };
}

/** A classifier whose clusters are those of the nearest mean. */
function nearestMean(means: number[][]): StateOf['classifier'] {
  const d = means[0].length;
  const weights = Float32Array.from({ length: d * means.length * d }, (_, p) =>
    Number(p % d === Math.floor(p / (means.length * d))),
  );
  const bias = Float32Array.from(means.flat(), (value) => -value);
  const constant = base64(new Float32Array(means.length));
  return { mixture: { weights: base64(weights), bias: base64(bias), constant } };
}

export const base64 = (values: Float32Array) =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
