import { existsSync } from 'node:fs';
import { assertDistinctFiles } from '../base/same-file.ts';
import { UserError } from '../base/user-error.ts';
import { assertNotOfRun } from '../coordinator/storage/run-path.ts';
import { createNpy, readNpy } from '../data/npy.ts';
import { openPredictor } from '../worker/predict.ts';
import { sourceOf } from './arrays.ts';
import { assertKnown } from './checks.ts';
import type { PredictOptions } from './options.ts';
import { withArrays } from './read-result.ts';
import { AbortError } from './run.ts';

/** Labels of new rows. */
export interface Prediction {
  readonly rows: number;
  /** Clusters of the run: labels are from 0 to k − 1. */
  readonly k: number;
  /** The cluster of each row; where there is an `out`, read from it on first use. */
  readonly labels: Int32Array;
  /** N×K, row-major; null without `soft`. Where `soft` is a path, read from it on first use. */
  readonly responsibilities: Float32Array | null;
}

const NAMES = ['run', 'data', 'out', 'soft', 'force', 'signal', 'log'];

/**
 * Labels rows by the net of a finished run; of the run's own data, the labels of the run.
 *
 * @throws {UserError} (rejection) where the run is not finished, the rows do not fit it, or a file exists without `force`
 * @throws {AbortError} (rejection) where `signal` stopped it
 */
export async function predict(options: PredictOptions): Promise<Prediction> {
  assertKnown('predict', options, NAMES);
  const { run, data, out, soft = false, force = false, log = () => {}, signal } = options;
  const softOut = typeof soft === 'string' ? soft : undefined;
  const outputs = { '--out': out, '--soft': softOut };
  assertDistinctFiles(outputs, { '--data': typeof data === 'string' ? data : undefined });
  assertNotOfRun(run, outputs);
  for (const path of [out, softOut])
    if (path !== undefined && existsSync(path) && !force)
      throw new UserError(`${path} exists already; replace it with --force`);
  const source = typeof data === 'string' ? data : sourceOf(data);
  const predictor = await openPredictor({ run, data: source, soft: soft !== false, log, signal });
  const { rows, k } = predictor;
  const sinks: Sink<Int32Array | Float32Array>[] = [];
  try {
    const labels = sink<Int32Array>(out, '<i4', [rows]);
    sinks.push(labels as Sink<Int32Array | Float32Array>);
    const responsibilities = soft === false ? null : sink<Float32Array>(softOut, '<f4', [rows, k]);
    if (responsibilities) sinks.push(responsibilities as Sink<Int32Array | Float32Array>);
    for await (const piece of predictor.pieces()) {
      labels.write(piece.labels, piece.start);
      responsibilities?.write(piece.responsibilities!, piece.start * k);
    }
    for (const { finish } of sinks) finish();
    const arrays = { labels: labels.read, responsibilities: responsibilities?.read ?? (() => null) };
    return withArrays({ rows, k }, arrays);
  } catch (error) {
    for (const { abort } of sinks) abort();
    throw signal?.aborted ? new AbortError('predict was stopped', { cause: signal.reason }) : error;
  } finally {
    predictor.close();
  }
}

/** Where pieces of an array go: an .npy, or memory. */
interface Sink<Values> {
  write(values: Values, first: number): void;
  finish(): void;
  abort(): void;
  read(): Values;
}

function sink<Values extends Int32Array | Float32Array>(
  path: string | undefined,
  dtype: '<i4' | '<f4',
  shape: number[],
): Sink<Values> {
  if (path !== undefined)
    return { ...createNpy(path, dtype, shape), read: () => readNpy(path).data as Values };
  const length = shape.reduce((a, b) => a * b, 1);
  const values = (dtype === '<i4' ? new Int32Array(length) : new Float32Array(length)) as Values;
  return { write: (piece, first) => values.set(piece, first), finish() {}, abort() {}, read: () => values };
}
