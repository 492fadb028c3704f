import { layersOf } from '../../../model/forward.ts';
import { softCounts } from '../../../model/soft-counts.ts';
import { bytesOf } from '../../../proto/tensors.ts';
import type { RunInfo, StateOf } from '../../../view/api.ts';
import { absolute } from '../../storage/run-file.ts';
import type { Watched } from './watched.ts';

/** Numbers of all covariances together; with more, only their diagonals are sent. */
const MOST_NUMBERS = 100_000;

/** What a run is: `/api/run`. */
export function aboutRun(watched: Watched, token: boolean): RunInfo {
  const { name, out, config, versions, layout, server, recorder } = watched;
  return {
    name,
    out,
    status: recorder.status(),
    config: { ...absolute(config) },
    versions,
    identity: server.identity(),
    workers: server.members().flatMap(({ worker, state }) => (state === 'up' ? [worker] : [])),
    data: {
      path: absolute(config).data,
      rows: layout.rows,
      dim: layout.dim,
      sample: recorder.run()?.sampleRows ?? null,
    },
    controls: true,
    token,
  };
}

/** Mixture and net as they are now: `/api/state`; null: there are none yet. */
export function newestState({ recorder, config }: Pick<Watched, 'recorder' | 'config'>): StateOf | null {
  const newest = recorder.newest();
  if (!newest) return null;
  const { state, run, sampleRows, splitRatio, counts } = newest;
  const { k, d, weights, means, covariances } = state.mixture;
  const full = state.mixture.covariance === 'full' && k * d * d <= MOST_NUMBERS;
  const diagonal = (matrix: Float64Array) =>
    matrix.length === d ? matrix : Float64Array.from({ length: d }, (_, i) => matrix[i * d + i]);
  return {
    epoch: state.epoch,
    k,
    frozen: state.frozen,
    weights: [...weights],
    means: means.map((mean) => [...mean]),
    covariances: covariances.map((matrix) => [...(full ? matrix : diagonal(matrix))]),
    covariance: full ? 'full' : 'diag',
    sizes: softCounts(weights, sampleRows, config.weightSmoothing),
    counts,
    splitRatio,
    net: layersOf(state.net).map(({ rows, cols, weights, bias }) => ({
      rows,
      cols,
      weights: base64(weights),
      bias: base64(bias),
    })),
    scale: [...run.transform.scale],
  };
}

function base64(values: Float32Array): string {
  return Buffer.from(bytesOf(values)).toString('base64');
}
