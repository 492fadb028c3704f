import { join } from 'node:path';
import { drawnRows, driftBetween, earlierRows, rowsFor } from '../../coordinator/fit/drift.ts';
import { openSource } from '../../data/open.ts';
import { rowsAt } from '../../data/rows-at.ts';
import { concat } from '../../model/arrays.ts';
import { alarmsOf } from '../../model/stream/drift.ts';
import { weightAfter } from '../../model/stream/stream.ts';
import { openForModel } from '../../run/rows-for-model.ts';
import { SAMPLE } from '../../run/stream-files.ts';
import { changedColumn, driftText } from '../drift-text.ts';
import { type Part, rowsIn, waitingIn } from './manifest.ts';
import type { FollowState } from './state.ts';

/** Whether a batch is trained on at once, or its rows wait for more. */

/** Operations for log-densities of rows: some hundredths of a second. */
const MOST_OPERATIONS = 2e7;

/**
 * An update is due once rows that wait have this share of the weight of all, or are as many as the sample has; or if the rows of these parts are unlike those
 * before.
 */
export async function isDue(
  state: FollowState,
  parts: readonly Part[],
  share: number,
  halfLife: number | null,
): Promise<{ trains: boolean; alarm: string | null }> {
  const { stream } = state.newest();
  const rows = rowsIn([...waitingIn(state.manifest()), ...parts]);
  const weight = weightAfter(stream.weight, rows, halfLife);
  const isEnough = weight.rows >= share * (weight.before + weight.rows) || rows >= stream.most;
  if (isEnough || !parts.length) return { trains: true, alarm: null };
  const alarm = await alarmOf(state, parts);
  return { trains: alarm !== null, alarm };
}

/** How the rows of these parts are unlike those of the sample; null if they are not, or with an encoder or a graph, where only an update finds out. */
async function alarmOf(state: FollowState, parts: readonly Part[]): Promise<string | null> {
  const { path, base, trained, stream } = state.newest();
  if (trained.encoder || base.state.graph) return null;
  const most = rowsFor(MOST_OPERATIONS, base.state);
  const sample = await openSource(join(path, SAMPLE));
  const before = await earlierRows(sample, most).finally(sample.close);
  const fresh: Float32Array[] = [];
  for (const part of parts) {
    const quiet = { skipBad: false, log() {}, warn() {} };
    const source = await openForModel(trained, state.run, state.pathOf(part), quiet);
    const drawn = drawnRows(source, Math.ceil(most / parts.length), String(stream.updates));
    fresh.push(await rowsAt(source, drawn).finally(source.close));
  }
  const now = concat(fresh, Float32Array);
  const { drift } = driftBetween(base.transform!, base.state, before, now);
  const alarms = alarmsOf(drift);
  if (!alarms.length) return null;
  const columns = { dim: trained.transform.input, names: trained.names };
  const names = parts.map(({ name }) => name).join(', ');
  return driftText(names, drift, alarms, changedColumn(columns, before, now));
}
