import type { Source } from '../../../data/source.ts';
import type { Transform } from '../../../data/transform.ts';
import type { Layout } from '../../../model/layout.ts';
import { diagonalOf } from '../../../model/linalg.ts';
import { type Mixture, softCounts } from '../../../model/mixture.ts';
import { type Layer, layersOf } from '../../../model/nets/net.ts';
import { weightSmoothing } from '../../../model/schedule.ts';
import { bytesOf } from '../../../proto/tensors.ts';
import type { RunInfo, StateOf } from '../../../view/api.ts';
import type { RunConfig } from '../../config.ts';
import type { Server } from '../../scheduler/server.ts';
import { withAbsolutePaths } from '../../storage/run-file.ts';
import type { Counters } from '../counters.ts';
import type { Recorder } from '../recorder.ts';

/** A run and what the HTTP port reads of it. */
export interface MonitoredRun {
  /** Name of the run directory. */
  name: string;
  /** Path of the run directory. */
  out: string;
  config: RunConfig;
  versions: Record<string, string>;
  /** Tells it apart from other runs of its name. */
  id: string;
  layout: Layout;
  /** The rows that are clustered, as of now. */
  source: () => Source;
  /** The rows of the data: where an encoder has codes of them, those are what is clustered. */
  raw: () => Source;
  server: Server;
  recorder: Recorder;
  counters: Counters;
  controls: Controls;
  /** Called after each scrape by Prometheus. */
  scraped(): void;
}

/** How HTTP clients control the run. Each but `finish` returns null, or why the request is rejected. */
export interface Controls {
  pause(): string | null;
  resume(): string | null;
  /** Resolves when the checkpoint has been written. */
  checkpoint(): Promise<string | null>;
  /** Ends the run early, with results: what happens now, or why the request is rejected. */
  finish(): { what: string } | { problem: string };
  stop(): string | null;
}

/** If all covariances together have more numbers than this, only their diagonals are sent. */
const MAX_COVARIANCE_NUMBERS = 100_000;

/** The body of `/api/run`. */
export function runInfo(run: MonitoredRun): RunInfo {
  const { name, out, config, versions, layout, server, recorder } = run;
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
  };
}

/** The body of `/api/state`: current mixture and net; null: not initialized yet. */
export function currentState({
  recorder,
  config,
}: Pick<MonitoredRun, 'recorder' | 'config'>): StateOf | null {
  const snapshot = recorder.snapshot();
  if (!snapshot) return null;
  const { state, run, sampleRows, preparations, ...rest } = snapshot;
  return {
    ...{ epoch: state.epoch, frozen: state.frozen, sample: preparations },
    ...rest,
    sizes: softCounts(state.mixture.weights, sampleRows, weightSmoothing(config.schedule)),
    ...modelOf(state.mixture, layersOf(state.net), run.transform),
  };
}

type Model = 'k' | 'weights' | 'means' | 'covariances' | 'covariance' | 'net' | 'scale';

/** Mixture and net as in the body of `/api/state`. */
export function modelOf(mixture: Mixture, net: Layer[], { scale }: Transform): Pick<StateOf, Model> {
  const { k, d, weights, means, covariances, covariance } = mixture;
  const full = covariance === 'full' && k * d * d <= MAX_COVARIANCE_NUMBERS;
  return {
    k,
    weights: [...weights],
    means: means.map((mean) => [...mean]),
    covariances: covariances.map((matrix) => [...(full ? matrix : diagonalOf(matrix, d))]),
    covariance: full ? 'full' : 'diag',
    net: net.map(({ rows, cols, weights, bias }) => ({
      ...{ rows, cols, weights: base64(weights), bias: base64(bias) },
    })),
    scale: [...scale],
  };
}

function base64(values: Float32Array): string {
  return Buffer.from(bytesOf(values)).toString('base64');
}
