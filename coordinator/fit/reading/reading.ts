import { WriteError } from '../../../base/files.ts';
import { UserError } from '../../../base/user-error.ts';
import type { Source } from '../../../data/source.ts';
import { columnsWithoutValues, diagnoseRow } from '../../../data/value-range.ts';
import type { WorkUnit } from '../../../proto/messages.ts';
import type { Tensors } from '../../../proto/tensors.ts';
import type { Dispatcher, RoundDispatcher } from '../../rounds/dispatcher.ts';
import type { HeldSample } from '../../rounds/round.ts';
import { FailedEverywhere } from '../../rounds/scheduler.ts';
import type { Server } from '../../rounds/server.ts';
import type { DataCheck } from '../data-check.ts';

/** Rounds that are about rows: what goes wrong in them is said of the data, and of the coordinator's own file where a worker has another. */

/** What the moments round is computed by, and what is asked of the coordinator's own file. */
export interface Reading extends RoundDispatcher {
  /** Locates the first value of a row that cannot be computed with: none above `max` can. `empty`: the columns that have no value, where that is so of every row. */
  diagnose(
    row: number,
    max: number,
    isEveryRow: boolean,
  ): Promise<{ where: string; isLarge: boolean; isValid: boolean; empty?: string | null }>;
  /** Which of these units have to be read again, as their workers did not read the coordinator's rows. */
  staleUnits(hashes: Uint8Array, units: readonly ReadUnit[]): Promise<number[]>;
  /** Names a worker in messages. */
  describe(worker: string): string;
  /** Keeps the sample for the workers that will own its shards; null: there is none. */
  hold(sample: HeldSample | null): void;
}

/** A unit of which a worker has read the rows, and what it has found. */
export interface ReadUnit extends WorkUnit {
  part: Tensors;
  by: string;
}

/** The rows of the data, those that are read now, and what compares the first with what workers read from their own files. */
interface Rows {
  source: Source;
  served: { source: Source };
  check: DataCheck | null;
}

export function readingOf(
  server: Pick<Server, 'hold' | 'describe'>,
  { publish, round }: RoundDispatcher,
  { source, served, check }: Rows,
): Reading {
  return {
    ...{ publish, round, hold: server.hold, describe: server.describe },
    diagnose: async (row, max, isEveryRow) => ({
      ...(await diagnoseRow(served.source, row, max)),
      empty: isEveryRow ? await columnsWithoutValues(served.source) : null,
    }),
    staleUnits: async (hashes, units) => (served.source === source && check?.staleUnits(hashes, units)) || [],
  };
}

/**
 * Rounds whose UserErrors have the path of the data before them, unless they contain it already: they are about the data, and
 * a worker that reads rows from the coordinator does not know the path.
 */
export function aboutData(dispatcher: Dispatcher, path: string): Dispatcher {
  return {
    publish: (name, tensors) => dispatcher.publish(name, tensors),
    abort: (error) => dispatcher.abort(error),
    state: (name) => dispatcher.state(name),
    round: (spec) =>
      dispatcher.round(spec).catch((error) => {
        const isAboutData = error instanceof UserError && !(error instanceof WriteError);
        if (!isAboutData || error instanceof FailedEverywhere || error.message.includes(path)) throw error;
        throw new UserError(`${path}: ${error.message}`, { cause: error });
      }),
  };
}
