import { UserError } from '../../base/user-error.ts';
import { isPca } from '../../data/transform.ts';
import type { Centres } from '../../model/description/centres.ts';
import { NotPositiveDefiniteError } from '../../model/linalg.ts';
import type { Mixture } from '../../model/mixture.ts';
import type { Net } from '../../model/nets/net.ts';
import type { State } from '../../model/state.ts';
import { nd, type Tensors } from '../../proto/tensors.ts';
import type { RunConfig } from '../config.ts';
import { subCentres } from './halves.ts';
import { netStates } from './net-states.ts';
import type { Run } from './run-context.ts';
import { transformTensors } from './transform-tensors.ts';

/** Sends the parts of the state that tasks read to the workers, in the form in which they read them. */

/** `below`: of the sample. `half`: of the replicate that trains on a half of it, from 1. */
export function publishTransform(
  { dispatcher, transform }: Pick<Run, 'dispatcher' | 'transform'>,
  below: number,
  half: number | null = null,
): void {
  dispatcher.publish('transform', {
    ...transformTensors(transform),
    below: nd(Float64Array.of(below)),
    ...(half !== null && { half: nd(Int32Array.of(half)) }),
  });
}

export function publishNet({ dispatcher }: Run, net: Net): void {
  const { weights, moments } = netStates(net);
  dispatcher.publish('net', weights);
  dispatcher.publish('net-moments', moments);
}

/** From where the full pass measures distances. */
export function publishCentres({ dispatcher }: Run, { k, values }: Centres): void {
  dispatcher.publish('cluster-centres', { rows: nd(values, k, values.length / k) });
}

export function publishSubs({ dispatcher }: Run, subs: Net): void {
  const { weights, moments } = netStates(subs);
  dispatcher.publish('subs', weights);
  dispatcher.publish('subs-moments', moments);
}

/** Of more columns, φ(x) = (1, x, vech xxᵀ) takes long to write, is large, and its products in float32 lose digits. */
const MOST_COLUMNS_OF_PHI = 32;

export const isPhiLong = ({ d, covariance }: Pick<Mixture, 'd' | 'covariance'>): boolean =>
  covariance === 'full' && d > MOST_COLUMNS_OF_PHI;

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

/** The sub-nets' target: the sub-centres, or with the KL loss the sub-components. */
export async function publishParts(run: Run, state: State): Promise<void> {
  const { scale } = run.transform;
  run.dispatcher.publish('parts', run.config.subLoss === 'kl' ? await components() : centres());

  function centres(): Tensors {
    const { d } = run;
    const pairs = subCentres(state);
    const rows = Float32Array.from(
      pairs.flat().flatMap((row) => [...row.map((value, i) => value / scale[i])]),
    );
    return { centres: nd(rows, pairs.length, 2, d), metric: nd(Float32Array.from(scale, (s) => s * s)) };
  }

  async function components(): Promise<Tensors> {
    const { d } = run;
    const k = state.parts.length;
    const { weights, bias, constant } = await run.calculate('subComponents', state.prior, state.parts, scale);
    return { weights: nd(weights, k, d, 2 * d), bias: nd(bias, k, 2 * d), constant: nd(constant, k, 2) };
  }
}
