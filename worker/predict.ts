import { existsSync } from 'node:fs';
import { UserError } from '../base/user-error.ts';
import { describeTable, findColumn } from '../data/columns.ts';
import { createNpy, type NpyWriter } from '../data/npy.ts';
import { formatOf, openSource } from '../data/open.ts';
import type { Source } from '../data/source.ts';
import { readTrainedModel } from '../data/trained-model.ts';
import type { Transform } from '../data/transform.ts';
import { diagnoseRow, formatNumber, MAX_FLOAT32, MAX_MAGNITUDE } from '../data/value-range.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';
import { loadBackend } from './compute/backends/load.ts';
import { FORWARD_ROWS, forward } from './compute/mlp.ts';
import { transformRows } from './rows.ts';

export interface PredictOptions {
  run: string;
  data: string;
  out: string;
  soft?: string;
  force: boolean;
  /** Hears what differs from the run. */
  log: (line: string) => void;
}

/** Labels of new rows by a run's net, streamed; the same bits as the run's own labels.npy on its own data. */
export async function predict({
  run,
  data,
  out,
  soft,
  force,
  log,
}: PredictOptions): Promise<{ rows: number; k: number }> {
  const { transform, net, backendName, leftOut } = readTrainedModel(run);
  const k = net.at(-1)!.values.length;
  for (const path of soft ? [out, soft] : [out])
    if (existsSync(path) && !force) throw new UserError(`${path} exists already; replace it with --force`);
  const source = await openSource(data, {
    without: await columnToLeaveOut(data, leftOut, transform.input, log),
  });
  if (source.dim !== transform.input)
    throw new UserError(
      `${data} has ${source.dim} columns, the run ${run} was trained on ${transform.input}`,
    );
  const backend = await loadBackend(backendName).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    log(`predict: on wasm, and a row at an edge may get another label than in the run: ${error.message}`);
    return loadBackend('wasm');
  });
  const layers = net.map(({ values, shape }) => backend.upload(values, shape));
  const files: NpyWriter<Int32Array | Float32Array>[] = [];
  try {
    const labels = createNpy(out, '<i4', [source.rows]);
    files.push(labels);
    const shares = soft ? createNpy(soft, '<f4', [source.rows, k]) : null;
    if (shares) files.push(shares);
    for (let start = 0; start < source.rows; start += FORWARD_ROWS) {
      const raw = await source.read(start, Math.min(FORWARD_ROWS, source.rows - start));
      const largest = transform.normalize ? MAX_FLOAT32 : MAX_MAGNITUDE;
      const bad = raw.findIndex((value) => !(Math.abs(value) <= largest));
      if (bad >= 0) throw await unusable(source, start + Math.floor(bad / source.dim), data, largest);
      const { labels: z, shares: r } = await label(backend, transform, layers, raw, shares !== null);
      labels.write(z, start);
      if (r) shares!.write(r, start * k);
    }
    for (const file of files) file.finish();
  } catch (error) {
    for (const file of files) file.abort();
    throw error;
  }
  return { rows: source.rows, k };
}

async function label(
  backend: Backend,
  transform: Transform,
  net: Tensor[],
  raw: Float32Array,
  soft: boolean,
) {
  const { scaled } = await transformRows(backend, transform, raw);
  const layers = forward(backend, net, scaled);
  const labels = await backend.argmaxRows(layers.at(-1)!);
  const r = soft ? backend.softmaxRows(layers.at(-1)!, 0) : null;
  const shares = r && (await backend.read(r));
  backend.free(scaled, ...layers, ...(r ? [r] : []));
  return { labels, shares };
}

/** New rows may have the column that the run left out, or not. */
async function columnToLeaveOut(
  data: string,
  leftOut: string | null,
  columns: number,
  log: (line: string) => void,
): Promise<string | null> {
  if (leftOut === null || formatOf(data) !== 'csv') return null;
  const table = await describeTable(data, leftOut);
  if (table.width !== columns + 1 || findColumn(table, leftOut) === null) return null;
  log(`column ${leftOut} of ${data} is left out, as in the run`);
  return leftOut;
}

async function unusable(source: Source, row: number, data: string, largest: number): Promise<UserError> {
  const { where, isLarge } = await diagnoseRow(source, row, largest);
  const what = isLarge
    ? `a value larger than the supported maximum (${formatNumber(largest)})`
    : 'NaN or infinite values';
  return new UserError(`${data}: ${where} has ${what}`);
}
