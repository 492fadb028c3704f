import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Labels } from '../data/labels.ts';
import { block, type Layout } from '../data/layout.ts';
import type { Source } from '../data/source.ts';
import { pcaAxes, planTransform, type Transform } from '../data/transform.ts';
import { UserError } from '../data/user-error.ts';
import { coarsening } from '../model/hastings.ts';
import { rank } from '../model/linalg.ts';
import { accuracy, ari, nmi } from '../model/metrics.ts';
import { mStep } from '../model/mixture.ts';
import { type Niw, niwPrior, priorScale } from '../model/niw.ts';
import { fastSchedule, paperSchedule } from '../model/schedule.ts';
import { nd, type Tensors } from '../proto/tensors.ts';
import type { RunConfig } from './config.ts';
import type { Emit } from './events.ts';
import { layersModel } from './export-model.ts';
import { fullPass, type Labelled } from './full-pass.ts';
import { type Found, momentsRound } from './moments.ts';
import { createRounds } from './rounds.ts';
import type { RunDirectory } from './run-directory.ts';
import type { Server } from './server.ts';
import type { Run, State } from './state.ts';
import { initialState, type Losses, train } from './train.ts';

/** What `--json` prints; null where labels are not known. */
export interface Summary {
  k: number;
  nmi: number | null;
  ari: number | null;
  acc: number | null;
  silhouette: number | null;
  loss: number | null;
  epochs: number;
  rounds: number;
  workers: number;
  rows: number;
  dim: number;
  /** From the first round on. */
  seconds: number;
  out: string;
}

/** Called after each epoch. */
export type Progress = (epoch: State & Losses) => void;

export interface RunInput {
  config: RunConfig;
  source: Source;
  labels: Labels | null;
  layout: Layout;
  server: Server;
  out: RunDirectory;
  emit: Emit;
  warn: (message: string) => void;
  progress: Progress;
  versions: Record<string, string>;
}

/** A whole run, once its workers are there: rounds, epochs, full pass, and all that the run directory gets. */
export async function runAll(input: RunInput): Promise<Summary> {
  const { config, layout, server, out, emit } = input;
  const begun = performance.now();
  const first = await input.source.read(0, block(layout, 0).count);
  const origin = Float64Array.from(first.subarray(0, layout.dim), (value) =>
    Number.isFinite(value) ? value : 0,
  );
  const wanted = config.sample ?? Math.max(20_000, 1_000 * (pcaAxes(config.transform) ?? layout.dim));
  const below = wanted === 0 ? 1 : Math.min(1, wanted / layout.rows);
  const found = await momentsRound(server.dispatcher, config, layout, origin, below);
  const run = prepare(input, found, below);
  out.create();
  const sample = found.sampleRows.reduce((a, b) => a + b, 0);
  emit({ type: 'start', rows: layout.rows, dim: layout.dim, sample, shards: layout.shards });
  writeRunFile(input, found, null);

  const smallest = Math.min(...found.sampleRows.filter((rows) => rows > 0));
  const { state, reason, loss } = await trainAll(run, input, smallest);
  emit({ type: 'end', epoch: state.epoch, k: state.mixture.k, reason });
  const labelled = await fullPass(run, layout, state.mixture.k, truthOf(input.labels), out);
  writeModel(run, state, labelled, out);
  const totals = server.totals();
  const summary: Summary = {
    k: labelled.T.filter((T) => T[0] > 0).length,
    nmi: labelled.table && nmi(labelled.table),
    ari: labelled.table && ari(labelled.table),
    acc: labelled.table && accuracy(labelled.table),
    silhouette: labelled.silhouette,
    loss,
    epochs: state.epoch,
    rounds: totals.rounds,
    workers: totals.workers,
    rows: layout.rows,
    dim: layout.dim,
    seconds: (performance.now() - begun) / 1000,
    out: out.path,
  };
  const { tasks, workers } = server.usage();
  emit({ type: 'done', k: summary.k, rowsRead: totals.rowsRead, seconds: tasks, workers });
  writeRunFile(input, found, summary);
  return summary;
}

async function trainAll(run: Run, { server, emit, progress }: RunInput, smallest: number) {
  let loss: number | null = null;
  const epochs = train(run, await initialState(run), smallest);
  for (;;) {
    const { done, value } = await epochs.next();
    if (done) return { ...value, loss };
    loss = value.loss ?? loss;
    const { tasks, workers } = server.usage();
    emit({
      type: 'epoch',
      epoch: value.epoch,
      k: value.mixture.k,
      width: value.net.shapes.at(-1)![0],
      loss: value.loss,
      subLoss: value.subLoss,
      seconds: tasks,
      workers,
    });
    progress(value);
  }
}

/** What the moments decide: transform, prior, coarsening. */
function prepare(input: RunInput, { moments, sampleRows }: Found, below: number): Run {
  const { config, layout, server, emit } = input;
  const { transform, covariance, dropped } = planTransform(config.transform, moments);
  if (dropped.length)
    input.warn(
      `${config.data}: dropped ${dropped.length} constant ${dropped.length === 1 ? 'column' : 'columns'} (${listed(dropped)}, counted from 0)`,
    );
  const d = transform.dim;
  const n = sampleRows.reduce((a, b) => a + b, 0);
  server.dispatcher.publish('transform', transformState(transform, below));
  return {
    config,
    schedule: (config.schedule === 'paper' ? paperSchedule : fastSchedule)(config.splitMergeEvery),
    seed: BigInt(config.seed),
    d,
    prior: priorOf(config, d, covariance),
    zeta: coarsening(n, d, config.coarsening ?? undefined),
    transform,
    dispatcher: server.dispatcher,
    rounds: createRounds(
      server.dispatcher,
      Array.from({ length: layout.shards }, (_, shard) => ({ shard, from: 0, to: 0 })),
      d,
      config.covariance === 'diag',
    ),
    emit,
  };
}

function listed(columns: number[]): string {
  return columns.length > 8 ? `${columns.slice(0, 8).join(', ')}, …` : columns.join(', ');
}

function priorOf(config: RunConfig, d: number, covariance: Float64Array): Niw {
  const isMatrix = covariance.length === d * d;
  if (config.covariance === 'full') {
    const found = rank(covariance, d);
    if (found < d)
      throw new UserError(
        `${config.data}: the covariance of the ${d} columns has rank ${found} only (collinear columns or too few rows); use --transform pca:${found} or --covariance diag`,
      );
  }
  const nu = config.priorNu ?? d + 2;
  if (nu < d + 1) throw new UserError(`--prior-nu ${nu} must be at least D + 1 = ${d + 1}`);
  const kept =
    config.covariance === 'diag' && isMatrix
      ? Float64Array.from({ length: d }, (_, i) => covariance[i * d + i])
      : covariance;
  return niwPrior({
    mean: new Float64Array(d),
    kappa: config.priorKappa,
    nu,
    psi: priorScale(config.priorScaleChoice, config.priorScale, kept, config.covariance),
    covariance: config.covariance,
  });
}

function transformState(transform: Transform, below: number): Tensors {
  const { normalize, input, dim, columns, weights, bias, scale, offset } = transform;
  return {
    shape: nd(Int32Array.of(normalize ? 1 : 0, input)),
    weights: columns ? nd(weights) : nd(weights, input, dim),
    bias: nd(bias),
    scale: nd(scale),
    offset: nd(offset),
    below: nd(Float64Array.of(below)),
    ...(columns && { columns: nd(columns) }),
  };
}

/** True classes in the narrowest type, as they stay in memory through the run. */
function truthOf(labels: Labels | null): Int32Array | Uint8Array | null {
  if (!labels) return null;
  return labels.names.length <= 256 ? Uint8Array.from(labels.codes) : labels.codes;
}

function writeRunFile(
  { config, layout, server, out, versions, source }: RunInput,
  found: Found,
  result: Summary | null,
) {
  out.json('run.json', {
    dpmesh: versions.dpmesh,
    versions,
    identity: server.identity(),
    config: { ...config, data: resolve(config.data), labels: config.labels && resolve(config.labels) },
    data: {
      rows: layout.rows,
      dim: layout.dim,
      dtype: source.dtype,
      blockRows: layout.blockRows,
      fingerprint: fingerprint(found.hashes),
    },
    result,
  });
}

function writeModel(run: Run, state: State, { T }: Labelled, out: RunDirectory): void {
  const { transform, prior, config, d } = run;
  const { json, weights } = layersModel(state.net, transform);
  out.json('model/model.json', json);
  out.bytes('model/weights.bin', weights);
  const { normalize, input, dim, columns, scale, offset } = transform;
  out.json('model/transform.json', {
    normalize,
    input,
    dim,
    columns: columns && [...columns],
    scale: [...scale],
    offset: [...offset],
  });
  const k = state.mixture.k;
  const mixture = mStep(prior, T, config.weightSmoothing);
  const flat = (arrays: Float64Array[]) => Float64Array.from(arrays.flatMap((array) => [...array]));
  const means = mixture.means.map((mean) => mean.map((value, i) => value + offset[i]));
  out.npy('mixture/weights.npy', '<f8', [k], mixture.weights);
  out.npy('mixture/means.npy', '<f8', [k, d], flat(means));
  out.npy(
    'mixture/covariances.npy',
    '<f8',
    config.covariance === 'full' ? [k, d, d] : [k, d],
    flat(mixture.covariances),
  );
  out.npy(
    'mixture/counts.npy',
    '<f8',
    [k],
    Float64Array.from(T, (t) => t[0]),
  );
}

/** One hash for all blocks' hashes. */
function fingerprint(hashes: Uint8Array): string {
  return createHash('sha256').update(hashes).digest('hex').slice(0, 32);
}
