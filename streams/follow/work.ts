import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, remove } from '../../base/files.ts';
import { dpmeshVersion } from '../../base/package.ts';
import { writeNpy } from '../../data/npy.ts';
import type { UpdateOptions } from '../../library/options.ts';
import { predict } from '../../library/predict.ts';
import { update } from '../../library/update.ts';
import type { Lineage } from '../../model/stream/findings.ts';
import { readRunFile } from '../../run/run-file.ts';
import { readRunLabels } from '../../run/run-files.ts';
import { type Batch, type Part, rowsIn, waitingIn } from './manifest.ts';
import { joined } from './rows.ts';
import type { FollowState } from './state.ts';

/** Takes a batch into the run, and writes the labels of its parts. All of it gives the same bytes when it is done again. */

/** Options of an update that a follow hands on. */
export type Computing = Omit<
  UpdateOptions,
  'run' | 'data' | 'labels' | 'text' | 'texts' | 'halfLife' | 'out' | 'signal' | 'http'
>;

/** What a batch has changed. */
export interface Changes {
  born: number[];
  gone: number[];
  alarm: string | null;
}

/** Does what is to be done with the batch. */
export async function takeIn(state: FollowState, batch: Batch, computing: Computing): Promise<Changes> {
  const { updates, parts } = state.manifest();
  const taken = [...parts, ...batch.parts];
  if (!batch.trains) {
    try {
      for (const part of batch.parts)
        await predict({
          run: state.newest().path,
          data: state.pathOf(part),
          out: placeOf(part),
          force: true,
        });
    } finally {
      state.assertRun();
    }
    state.save({ parts: taken, batch: null });
    return { born: [], gone: [], alarm: batch.alarm };
  }
  const number = updates + 1;
  const out = state.directory(number);
  const data = joined(state.rowsOf(number));
  const names = batch.parts.map(({ name }) => name).join(', ');
  const log = (line: string) => computing.log?.(line.replaceAll(data, () => names));
  if (!isComplete(out)) {
    // Begun by a process that was killed: it takes seconds to do it again.
    remove(out);
    const run = update({
      ...{ ...computing, run: state.newest().path, data, out, log, report: false },
      ...(!state.newest().hasTexts && { texts: null }),
      ...(batch.halfLife !== null && { halfLife: batch.halfLife }),
    });
    try {
      for await (const event of run) if (event.type === 'warning') log(`dpmesh: warning: ${event.message}`);
      await run.closed;
    } finally {
      state.assertRun();
    }
  }
  let at = rowsIn(waitingIn(state.manifest()));
  const labels = readRunLabels(out, at + rowsIn(batch.parts));
  for (const part of batch.parts) {
    writeNpy(placeOf(part), '<i4', [part.rows], labels.subarray(at, at + part.rows));
    at += part.rows;
  }
  state.save({ updates: number, parts: taken, batch: null });
  const { alarm } = state.newest().stream;
  return { ...changesIn(out), alarm: batch.alarm ?? alarm?.replaceAll(data, () => names) ?? null };

  function placeOf(part: Part): string {
    const path = state.labelsOf(part);
    makeFolder(join(path, '..'));
    return path;
  }
}

const isComplete = (run: string): boolean =>
  existsSync(join(run, 'run.json')) && readRunFile(run, dpmeshVersion()).result !== null;

/** The clusters that an update has found, and those that are there no longer. */
function changesIn(run: string): { born: number[]; gone: number[] } {
  const { lineage } = JSON.parse(readFileSync(join(run, 'lineage.json'), 'utf8')) as { lineage: Lineage[] };
  const those = (...kinds: Lineage['what'][]) =>
    lineage.filter(({ what }) => kinds.includes(what)).map(({ id }) => id);
  return { born: those('born', 'split', 'returned'), gone: those('gone', 'merged') };
}
