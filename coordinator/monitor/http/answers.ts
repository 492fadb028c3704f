import type { Source } from '../../../data/source.ts';
import { layersOf } from '../../../model/forward.ts';
import type { Layout } from '../../../model/layout.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { softCounts } from '../../../model/mixture.ts';
import { bytesOf } from '../../../proto/tensors.ts';
import type { RunInfo, StateOf } from '../../../view/api.ts';
import type { RunConfig } from '../../config.ts';
import type { Server } from '../../scheduler/server.ts';
import { withAbsolutePaths } from '../../storage/run-file.ts';
import type { Counters } from '../counters.ts';
import type { Recorder } from '../recorder.ts';

/** The run as its HTTP port sees it. */
export interface Watched {
  /** Of the run directory: its name and its path. */
  name: string;
  out: string;
  config: RunConfig;
  versions: Record<string, string>;
  layout: Layout;
  source: Source;
  server: Server;
  recorder: Recorder;
  counters: Counters;
  controls: Controls;
}

/** What may be asked of a run from outside. Each gives null, or why it cannot be done now. */
export interface Controls {
  pause(): string | null;
  resume(): string | null;
  /** Resolves when the checkpoint is written. */
  checkpoint(): Promise<string | null>;
  stop(): string | null;
}

/** Numbers of all covariances together; with more, only their diagonals are sent. */
const MOST_NUMBERS = 100_000;

/** What a run is: `/api/run`. */
export function aboutRun(watched: Watched, token: boolean): RunInfo {
  const { name, out, config, versions, layout, server, recorder } = watched;
  return {
    name,
    out,
    status: recorder.status(),
    config: { ...withAbsolutePaths(config) },
    versions,
    identity: server.identity(),
    workers: server.members().flatMap(({ worker, state }) => (state === 'up' ? [worker] : [])),
    data: {
      path: withAbsolutePaths(config).data,
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
  return {
    epoch: state.epoch,
    k,
    frozen: state.frozen,
    weights: [...weights],
    means: means.map((mean) => [...mean]),
    covariances: covariances.map((matrix) => [...(full ? matrix : diagonalOf(matrix, d))]),
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
