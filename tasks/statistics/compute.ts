import { chooseByWeight, seedCandidate } from '../../model/gaussian/kmeans.ts';
import { generator } from '../../model/random.ts';
import { statisticsLength } from '../../model/statistics.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { labelDtype, nd, type Tensors, take, zeros } from '../../proto/tensors.ts';
import type { TaskFunction } from '../compute/context.ts';
import { covarianceOf } from '../parameters.ts';

/**
 * Soft statistics of the shard's sample by the clustering net, Σ_i r_ik φ(y_i) for each cluster k, [K,P], in the networks'
 * coordinates. Caches the hard labels for later tasks.
 */
export const statistics: TaskFunction<'statistics'> = async (context, task, unit) => {
  const { backend, states } = context;
  const sample = await context.sample(unit.shard);
  const k = states.net('net').at(-1)!.shape[0];
  const dim = sample.scaled.shape[1];
  const p = statisticsLength(dim, covarianceOf(task));
  const T = new Float64Array(k * p);
  const z = new Int32Array(sample.n);
  for await (const { start, x, logits } of context.outputs(sample.scaled, task.block)) {
    const r = backend.softmaxRows(logits, 0);
    const features = context.features(unit.shard, start, x, task.diagonal);
    const sums = backend.quadraticMoments(r, features.tensor);
    z.set(await backend.argmaxRows(logits), start);
    const values = await backend.read(sums);
    for (let i = 0; i < T.length; i++) T[i] += values[i];
    backend.free(r, sums, ...(features.kept ? [] : [features.tensor]));
  }
  sample.labels = { version: states.version('net'), byMixture: false, z };
  return { T: nd(T, k, p) };
};

/**
 * The soft statistics [K,P] of `statistics`, but in float64, in the model's coordinates and about a point near each cluster's
 * mean: for clusters so flat, or so far from the origin relative to their spread, that float32 products lose their covariance.
 * They may be by the mixture. Responsibilities below `least` do not count: with many clusters most are, and these sums then take less time than products.
 * Caches the hard labels for later tasks.
 */
export const pivotedStatistics: TaskFunction<'pivoted-statistics'> = async (context, task, unit) => {
  const { backend, states } = context;
  const sample = await context.sample(unit.shard);
  const { rows, n, scaled } = sample;
  const { byMixture = false } = task;
  const k = states.classifier(byMixture).at(-1)!.shape[0];
  const d = scaled.shape[1];
  const covariance = covarianceOf(task);
  const means = take(states.get('means'), 'rows', 'float64', k * d);
  const statistics = context.kernel.softScatter(means, d, covariance);
  const z = new Int32Array(n);
  for await (const { start, x, logits } of context.outputs(scaled, FORWARD_ROWS, byMixture)) {
    const r = backend.softmaxRows(logits, 0);
    const weights = await backend.read(r);
    backend.free(r);
    z.set(await backend.argmaxRows(logits), start);
    statistics.add(rows.subarray(start * d, (start + x.shape[0]) * d), weights, task.least);
  }
  sample.labels = { version: states.version(byMixture ? 'e-step' : 'net'), byMixture, z };
  return { T: nd(statistics.read(), k, statisticsLength(d, covariance)) };
};

/** One k-means++ step: the shard's sum of squared distances, and a row drawn with probability proportional to its distance². */
const seedDistances: TaskFunction<'seed-distances'> = async (context, task, unit) => {
  const sample = await context.sample(unit.shard);
  const { rows, n, scaled } = sample;
  const d = scaled.shape[1];
  const all = take(context.states.get('centres'), 'rows', 'float64');
  const centres = Array.from({ length: task.centres }, (_, k) => all.subarray(k * d, (k + 1) * d));
  const rng = generator(context.seed, 'k-means++', task.draw, unit.shard);
  const used = all.slice(0, task.centres * d);
  const cached = sample.seeding && startsWith(used, sample.seeding.centres) ? sample.seeding : null;
  const candidate = n
    ? seedCandidate(
        ...([rows, d, centres, rng.uniform()] as const),
        cached && { centres: cached.centres.length / d, weights: cached.weights },
      )
    : null;
  // Cached, as the next step adds one centre.
  if (candidate) sample.seeding = { centres: used, weights: candidate.weights };
  return {
    weight: nd(Float64Array.of(candidate?.weight ?? 0)),
    row: nd(
      candidate
        ? Float64Array.from(rows.subarray(candidate.row * d, (candidate.row + 1) * d))
        : new Float64Array(d),
    ),
  };
};

const startsWith = (all: Float64Array, first: Float64Array) =>
  first.length <= all.length && first.every((value, i) => value === all[i]);

/**
 * Hard labels of every so many-th row of the shard's sample, from the first on, and the number of all its rows by label. With `draw`, the
 * labels are drawn by the rows' responsibilities, and the doubt about each cluster's rows is −Σ r log r over all rows, in nats.
 */
const sampleLabels: TaskFunction<'sample-labels'> = async (context, { every, draw, byMixture }, unit) => {
  const k = context.states.classifier(byMixture).at(-1)!.shape[0];
  const all = await context.labels(unit.shard, byMixture);
  const counts = new Float64Array(k);
  for (const label of all) counts[label]++;
  const labels = zeros(labelDtype(k), Math.ceil(all.length / every));
  for (let i = 0; i < labels.length; i++) labels[i] = all[i * every];
  const found: Tensors = { labels: nd(labels), counts: nd(counts) };
  if (draw === undefined) return found;
  const { backend, seed } = context;
  const rng = generator(seed, 'draw-labels', draw, unit.shard);
  const doubt = new Float64Array(k);
  const { scaled } = await context.sample(unit.shard);
  for await (const { start, x, logits } of context.outputs(scaled, FORWARD_ROWS, byMixture)) {
    const softmax = backend.softmaxRows(logits, 0);
    const r = await backend.read(softmax);
    backend.free(softmax);
    for (let at = 0; at < r.length; at++) if (r[at] > 0) doubt[at % k] -= r[at] * Math.log(r[at]);
    for (let i = 0; i < x.shape[0]; i++)
      if ((start + i) % every === 0)
        labels[(start + i) / every] = chooseByWeight(r.subarray(i * k, (i + 1) * k), rng.uniform());
  }
  return { ...found, doubt: nd(doubt) };
};

/** The tasks of this file, by name. */
export const tasks = {
  statistics,
  'pivoted-statistics': pivotedStatistics,
  'seed-distances': seedDistances,
  'sample-labels': sampleLabels,
};
