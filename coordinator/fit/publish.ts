import { UserError } from '../../base/user-error.ts';
import { isPca } from '../../data/transform-choice.ts';
import type { RowDensities } from '../../model/description/densities.ts';
import type { Centres } from '../../model/description/distances.ts';
import { backgroundLast, densitiesOf } from '../../model/gaussian/densities.ts';
import { type Densities, eStepOf } from '../../model/gaussian/estep.ts';
import type { Background } from '../../model/gaussian/noise.ts';
import type { MapNet } from '../../model/graph/map-net.ts';
import { HASH_BYTES } from '../../model/layout.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { Net } from '../../model/nets/net.ts';
import { type Copies, labelsByMixture, type State } from '../../model/state.ts';
import { WIDEST_PHI } from '../../model/statistics.ts';
import { mapTensors, netStates, rowDensityTensors, transformTensors } from '../../proto/model-tensors.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { RunConfig } from '../../run/config.ts';
import { subCentres } from './halves.ts';
import type { Target, TrainingRun } from './run-context.ts';

/** Sends the parts of the state that tasks read to the workers, in the form in which they read them. */

/** The hashes of all blocks of the rows that are read. */
export function publishHashes({ dispatcher }: Pick<TrainingRun, 'dispatcher'>, hashes: Uint8Array): void {
  dispatcher.publish('hashes', { blocks: nd(hashes, hashes.length / HASH_BYTES, HASH_BYTES) });
}

/** `below`: of the sample. `copies`: the rows of it that are left out. */
export function publishTransform(
  { dispatcher, transform, half }: Pick<TrainingRun, 'dispatcher' | 'transform' | 'half'>,
  below: number,
  copies: Copies | null = null,
): void {
  dispatcher.publish('transform', {
    ...transformTensors(transform),
    below: nd(Float64Array.of(below)),
    ...(half && { half: nd(Int32Array.of(half)) }),
    ...(copies && { copyOf: nd(copies.of), copyStarts: nd(copies.starts) }),
  });
}

export function publishNet({ dispatcher }: Pick<TrainingRun, 'dispatcher'>, net: Net): void {
  const { weights, moments } = netStates(net);
  dispatcher.publish('net', weights);
  dispatcher.publish('net-moments', moments);
}

/**
 * Publishes the E-step of a mixture, in Cholesky form if that is asked for; a background, which needs that form, is one component more. Returns what
 * targets of it are. UserError if a cluster is too flat for float32.
 */
export function publishEStep(
  { dispatcher, config, transform }: Pick<TrainingRun, 'dispatcher' | 'config' | 'transform'>,
  mixture: Mixture,
  form?: 'cholesky',
  background?: Background,
): Target {
  let step: ReturnType<typeof eStepOf>;
  try {
    step = eStepOf(mixture, transform.scale, form);
  } catch (error) {
    throw flatClusterError(config, error);
  }
  const { k } = mixture;
  dispatcher.publish(
    'e-step',
    step.form === 'product'
      ? { theta: nd(step.theta, step.theta.length / k, k) }
      : densityTensors(backgroundLast(step, background, transform.scale)),
  );
  return { form: step.form };
}

/** As tasks read them. */
export function densityTensors({ weights, bias, constant }: Densities): Tensors {
  const { length: k } = constant;
  return { weights: nd(weights, bias.length / k, bias.length), bias: nd(bias), constant: nd(constant) };
}

/** Publishes what labels rows; returns whether that is the mixture. UserError if a cluster is too flat for float32. */
export function publishClassifier(
  run: Pick<TrainingRun, 'dispatcher' | 'config' | 'transform'>,
  state: State,
): boolean {
  const byMixture = labelsByMixture(run.config.schedule, state);
  if (byMixture) publishEStep(run, state.mixture, 'cholesky');
  else publishNet(run, state.net);
  if (state.groups) run.dispatcher.publish('groups', { of: nd(state.groups) });
  return byMixture;
}

/** From where the full pass measures distances, and which rows are far from all clusters. */
export function publishCentres(
  { dispatcher }: Pick<TrainingRun, 'dispatcher'>,
  name: 'cluster-centres' | 'far-bounds',
  { k, values }: Centres,
): void {
  dispatcher.publish(name, { rows: nd(values, k, values.length / k) });
}

/** What log densities are computed by. Returns whether there are such: a graph has none. `centres`: of the same clusters. */
export function publishDensities(
  run: Pick<TrainingRun, 'dispatcher' | 'config' | 'transform'>,
  state: State,
  centres: Centres,
): boolean {
  const densities = densitiesOfState(run, state, centres);
  if (densities) run.dispatcher.publish('densities', rowDensityTensors(densities));
  return densities !== null;
}

/** Null of a graph. */
export const densitiesOfState = (
  { config, transform }: Pick<TrainingRun, 'config' | 'transform'>,
  state: State,
  centres: Centres,
): RowDensities | null =>
  state.graph
    ? null
    : densitiesOf(state.mixture, centres, {
        scale: transform.scale,
        byMixture: labelsByMixture(config.schedule, state),
      });

/** The net that places rows on the map. */
export const publishMap = ({ dispatcher }: Pick<TrainingRun, 'dispatcher'>, net: MapNet): void =>
  dispatcher.publish('map', mapTensors(net));

export function publishSubs({ dispatcher }: TrainingRun, subs: Net): void {
  const { weights, moments } = netStates(subs);
  dispatcher.publish('subs', weights);
  dispatcher.publish('subs-moments', moments);
}

export const isPhiLong = ({ d, covariance }: Pick<Mixture, 'd' | 'covariance'>): boolean =>
  covariance === 'full' && d > WIDEST_PHI;

/**
 * A UserError for clusters that are too flat; other errors unchanged. Data of full rank may still be too flat for float32;
 * along principal axes, each scaled to unit variance, they rarely are.
 */
export function flatClusterError({ data, transform }: RunConfig, error: unknown): unknown {
  if (!(error instanceof NotPositiveDefiniteError)) return error;
  const axes = isPca(transform) ? 'fewer axes' : 'as many axes as columns, or fewer';
  return new UserError(
    `${data}: ${error.message} (columns that nearly repeat others); use --transform pca:<axes> with ${axes}, or --covariance diag`,
  );
}

/** The sub-nets' target: the sub-centres. */
export async function publishParts(run: TrainingRun, state: State): Promise<void> {
  const { d } = run;
  const { scale } = run.transform;
  const pairs = subCentres(state);
  const rows = Float32Array.from(pairs.flat().flatMap((row) => [...row.map((value, i) => value / scale[i])]));
  run.dispatcher.publish('parts', {
    centres: nd(rows, pairs.length, 2, d),
    metric: nd(Float32Array.from(scale, (s) => s * s)),
  });
}
