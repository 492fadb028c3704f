import { join } from 'node:path';
import { UserError } from '../../base/user-error.ts';
import { fingerprint } from '../../data/blocks.ts';
import { openSource } from '../../data/open.ts';
import { rowsAt } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { priority } from '../../model/random.ts';
import { ofUnits, onSample } from '../../model/state.ts';
import { alarmsOf } from '../../model/stream/drift.ts';
import type { Drift } from '../../model/stream/findings.ts';
import { withoutFaded, withPart } from '../../model/stream/lineage.ts';
import { pooled, residualDrift, weightAfter, withNewRows } from '../../model/stream/sample.ts';
import type { Residual, Stream } from '../../model/stream/stream.ts';
import { assertBase, hasKeptTexts, keepTexts, keptTexts, readBase } from '../../run/base-run.ts';
import type { ClusterCheckpoint } from '../../run/checkpoint.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import { runFile, type UpdateRequest } from '../../run/run-file.ts';
import { knownPart, partOf, readStream, SAMPLE, writeDrawn } from '../../run/stream-files.ts';
import { drawnRows, earlierRows, rowsFor } from '../fit/drift.ts';
import {
  aboutCheckpoint,
  type MetadataPorts,
  metadataOf,
  type Ports,
  type RunState,
} from '../fit/run-state.ts';
import { residualOfRows } from '../fit/stages/encode.ts';
import { assertParts } from '../fit/stages/relabel.ts';
import { changedColumn, driftText } from './drift-text.ts';

/** The sample that an update is trained on: which of the rows before and of the new ones, and how these differ from those. */

/** Draws the sample of all rows so far, and writes it with the state from which the clusters go on. */
export async function drawRows(
  context: MetadataPorts & Ports<'emit' | 'out' | 'signal' | 'spent' | 'trainer' | 'warn'>,
  request: UpdateRequest,
  read: DataMoments,
  state: RunState,
): Promise<ClusterCheckpoint> {
  const { config, out } = context;
  const { source, layout, encoding } = state;
  const { run, halfLife = null } = request;
  const base = readBase(request, readStream);
  const stream = base.stream!;
  const { hashes } = encoding ?? read;
  if (!encoding) await assertNewRows(context, hashes, stream);
  const before = await openSource(join(run, SAMPLE));
  try {
    const { drift, arrivals, alarm, residual } = await driftFrom(context, state, base, before);
    const drawn = withNewRows(stream, source.rows, priority(config.seed), halfLife);
    const weight = weightAfter(stream.weight, source.rows, halfLife);
    const aged = {
      ...{
        ...stream,
        drift,
        alarm,
        parts: withPart(stream.parts, partOf(config, layout, hashes, stream.updates + 1)),
        keys: drawn.keys,
        seen: stream.seen + source.rows,
        ...(residual && { residual: pooled(stream.residual!, weight.before, residual, weight.rows) }),
      },
      weight: weight.before + weight.rows,
      labels: Int32Array.from(drawn.keys, (_, i) => stream.labels[drawn.kept[i] ?? -1] ?? -1),
      since: Int32Array.from(drawn.keys, (_, i) => stream.since[drawn.kept[i] ?? -1] ?? stream.updates + 1),
    };
    const { stream: next, stays, clusters } = withoutFaded(aged, arrivals, weight.rows);
    const kept = drawn.kept.filter((_, i) => stays[i]);
    const [old, fresh] = [await rowsAt(before, kept), await rowsAt(source, drawn.joining)];
    const rows = next.keys.length;
    const after: ClusterCheckpoint = {
      stage: 'cluster',
      ...aboutCheckpoint(context, layout),
      dataSummary: { ...read, sampleRows: Array<number>(layout.shards).fill(1) },
      transform: base.transform,
      state: onSample(ofUnits(base.state, clusters), { below: 1, rows: layout.rows, smallestShard: 1 }),
      ended: null,
      stream: next,
    };
    await out.create(runFile(metadataOf(context, state, hashes), null));
    const file = out.pieces(SAMPLE, '<f4', [rows, source.dim]);
    file.write(old, 0);
    file.write(fresh, old.length);
    await file.finish();
    await drawTexts(context, run, kept, drawn.joining);
    assertBase(request);
    await writeDrawn(out, after);
    return after;
  } catch (error) {
    assertBase(request);
    throw error;
  } finally {
    before.close();
  }
}

/** Keeps the texts of the rows that are drawn, if the run has texts: none of rows whose texts are unknown. */
async function drawTexts(
  { out, source: { described } }: Ports<'out' | 'source'>,
  run: string,
  before: readonly number[],
  joining: readonly number[],
): Promise<void> {
  if (!described && !hasKeptTexts(run)) return;
  const file = keepTexts(out);
  try {
    for (const [texts, rows] of [
      [hasKeptTexts(run) ? keptTexts(run) : null, before],
      [described?.read() ?? null, joining],
    ] as const) {
      let [next, start] = [0, 0];
      for await (const slice of texts ?? []) {
        for (; rows[next] < start + slice.length; next++) file.add(slice[rows[next] - start]);
        start += slice.length;
      }
      for (; next < rows.length; next++) file.add('');
    }
    file.finish();
  } catch (error) {
    file.abort();
    throw error;
  }
}

/** Operations for log-densities of rows, which take a few seconds. */
const MOST_OPERATIONS = 2e9;

/** How the new rows differ from the sample of those before, by the clusters as they are. */
async function driftFrom(
  context: Ports<'config' | 'emit' | 'source' | 'trainer' | 'warn'>,
  { source, encoding }: RunState,
  { transform, state, stream }: ClusterCheckpoint,
  sample: Source,
): Promise<{ drift: Drift; arrivals: Float64Array; alarm: string | null; residual: Residual | null }> {
  const { config, trainer, emit, warn } = context;
  const most = rowsFor(MOST_OPERATIONS, state);
  const drawn = drawnRows(source, most, config.seed);
  const [old, fresh] = [await earlierRows(sample, most), await rowsAt(source, drawn)];
  const found = await trainer.drift(transform!, state, old, fresh);
  const residual = encoding && (await residualOfRows(context, encoding, drawn));
  const drift = { ...found.drift, ...(residual && residualDrift(stream!.residual!, residual)) };
  const alarms = alarmsOf(drift);
  emit({ type: 'drift', update: stream!.updates + 1, ...drift, alarms });
  const alarm = alarms.length
    ? driftText(config.data, drift, alarms, encoding ? null : changedColumn(source, old, fresh))
    : null;
  if (alarm !== null) warn(alarm);
  return { ...found, drift, alarm, residual };
}

/** UserError if rows of these hashes are in the run already, or rows that are to be labelled anew are not there. */
export async function assertNewRows(
  context: Ports<'config' | 'layout' | 'signal' | 'source' | 'update' | 'warn'>,
  hashes: Uint8Array,
  { parts }: Stream,
): Promise<void> {
  const { config, source, layout, update } = context;
  const { run, relabel } = update!;
  const known = await knownPart(parts, source, new Map([[layout.shards, fingerprint(hashes)]]));
  if (known)
    throw new UserError(
      `${config.data}: its rows are in ${run} already (${known.update ? `update ${known.update}` : 'the first run'}), and each counts once; pass other rows`,
    );
  if (relabel) await assertParts(context, parts);
}
