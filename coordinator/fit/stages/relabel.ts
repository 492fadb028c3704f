import { UserError } from '../../../base/user-error.ts';
import { fingerprint } from '../../../data/blocks.ts';
import type { Source } from '../../../data/source.ts';
import type { Centres } from '../../../model/description/distances.ts';
import { layoutOf } from '../../../model/layout.ts';
import type { State } from '../../../model/state.ts';
import type { StreamPart } from '../../../model/stream/stream.ts';
import type { Encoding } from '../../../run/encoding.ts';
import { openNewRows } from '../inputs.ts';
import { publishHashes, publishTransform } from '../publish.ts';
import { labelsOnly } from '../row-writer.ts';
import type { Prepared } from '../run-context.ts';
import type { Ports } from '../run-state.ts';
import { encodeRows, readForEncoder } from './encode.ts';
import { labelWithIds } from './full-passes.ts';
import { firstReading } from './read.ts';

/**
 * The rows of earlier updates and of the first run, which an update does not read, labelled by its clusters: `relabelled/N.npy` of the N-th
 * update, 0 for the first run.
 */

/** What all rows are labelled with: clusters in the order of their ids. */
export interface Labelling {
  run: Prepared;
  state: State;
  centres: Centres;
  ids: readonly number[];
  /** By whose encoder rows become what is clustered; null: they are. */
  encoding: Encoding | null;
}

/** UserError if rows that are to be labelled anew are not there. */
export async function assertParts(
  context: Ports<'config' | 'signal' | 'update' | 'warn'>,
  parts: readonly StreamPart[],
): Promise<void> {
  for (const part of parts) (await openPart(context, part)).close();
}

/** UserError if the rows are not those that were taken in. */
export async function relabel(
  context: Ports<
    'check' | 'config' | 'dispatcher' | 'out' | 'reading' | 'serve' | 'signal' | 'source' | 'update' | 'warn'
  >,
  { run, state, centres, ids, encoding }: Labelling,
  parts: readonly StreamPart[],
): Promise<void> {
  const { config, dispatcher, out, serve } = context;
  for (const part of parts) {
    const source = await openPart(context, part);
    const layout = layoutOf(source.rows, source.dim, part.shards, config.seed);
    serve(source, layout);
    let rows = { source, layout };
    let { hashes } = await (encoding ? readForEncoder(context, rows) : firstReading(context, rows, 0));
    if (fingerprint(hashes) !== part.fingerprint)
      throw gone(part, 'has changed since its rows were taken in');
    const codes = `relabelled/${part.update}-codes.npy`;
    if (encoding) {
      rows = await encodeRows(context, { ...encoding, hashes }, rows, codes);
      ({ hashes } = await firstReading(context, rows, 0));
    }
    publishHashes({ dispatcher }, hashes);
    publishTransform({ dispatcher, transform: run.transform }, 1);
    const labels = labelsOnly((...about) => out.pieces(`relabelled/${part.update}.npy`, ...about));
    await labelWithIds({ ...context, run, labels: null, out: labels }, rows.layout, state, centres, ids);
    source.close();
    if (encoding) out.remove(codes);
  }
}

async function openPart(
  {
    config,
    update,
    warn,
    signal = new AbortController().signal,
  }: Ports<'config' | 'signal' | 'update' | 'warn'>,
  part: StreamPart,
): Promise<Source> {
  const how = { warn, log: () => {}, signal };
  const { source } = await openNewRows(
    { ...config, data: part.data, text: null, texts: null },
    update!,
    how,
  ).catch((error: unknown) => {
    throw error instanceof UserError ? new UserError(`--relabel: ${error.message}`, { cause: error }) : error;
  });
  if (source.rows === part.rows) return source;
  source.close();
  throw gone(part, `has ${source.rows} rows, not the ${part.rows} that were taken in`);
}

const gone = ({ data }: StreamPart, why: string) =>
  new UserError(
    `--relabel: ${data} ${why}; restore it, and go on with dpmesh resume, or update without --relabel`,
  );
