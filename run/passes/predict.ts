import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { UserError } from '../../base/user-error.ts';
import { readSpans } from '../../data/remote/read-ahead.ts';
import type { Source } from '../../data/source.ts';
import { diagnoseRow, formatNumber } from '../../data/value-range.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { columnWatch, largestOf, type TrainedModel } from '../trained-model.ts';
import { loadLabeller, type RowLabels } from './labeller.ts';

/** Rows labelled by the model of a finished run, piece by piece. It opens no files, and knows neither trainer nor coordinator. */

export interface PredictInput {
  /** The directory of a finished run. */
  run: string;
  /** Its model, with what `details` and `map` need. */
  trained: TrainedModel;
  /** Rows that fit it, which are closed with the predictor, and what they are called. */
  source: Source;
  name: string;
  /** Responsibilities too. */
  soft: boolean;
  /** How sure the labels are, and how far rows lie from the centres; and where they are on the map. */
  details?: boolean;
  /** Where rows are on the map. */
  map?: boolean;
  /** The components of rows. */
  components?: boolean;
  /** So many of the first clusters may have rows, which others then never get; all by default. */
  units?: number;
  /** Says what differs from the run. */
  log: (line: string) => void;
  signal?: AbortSignal;
}

/** A run's model, and rows that it can label. */
export type Predictor = Awaited<ReturnType<typeof openPredictor>>;
/** A piece of its labels. */
export type LabelledPiece = RowLabels & { start: number };

/** Loads the model on its backend. */
export async function openPredictor(input: PredictInput) {
  const { run, trained, source, name, soft, details = false, map = details, log, signal } = input;
  const { components, units } = input;
  const { names, table, moments } = trained;
  try {
    const largest = largestOf(trained);
    const { label, close, ...known } = await loadLabeller(trained, { details, map, components, units, log });
    const pieces = (source.rows ? ranges(source.rows, FORWARD_ROWS) : []).map(({ from, to }) => ({
      start: from,
      count: to - from,
    }));
    // Columns that both have names for were found by them.
    const watch = moments && !source.shape && !(source.names && names) ? columnWatch(moments) : null;
    return {
      ...known,
      rows: source.rows,
      /** The paths of images below their folder, by row; null for other data. */
      images: source.images ?? null,
      /** What names the rows: the texts of the column that named those of the run, if the data have it. */
      texts: source.texts,
      /** That column, or the one by which the data name their rows; null where there is none. */
      id: table.id ?? source.id ?? null,
      /** All rows, in pieces and in their order: the same bits as the run's own on its own data, before these are ids. */
      async *pieces(): AsyncGenerator<LabelledPiece> {
        let start = 0;
        for await (const raw of readSpans(source, pieces)) {
          // Signals arrive between two turns of the event loop.
          await yieldToEventLoop();
          signal?.throwIfAborted();
          const bad = raw.findIndex((value) => !(Math.abs(value) <= largest));
          if (bad >= 0) throw await unusable(source, start + Math.floor(bad / source.dim), name, largest);
          watch?.add(raw);
          const rows = raw.length / source.dim;
          yield { start, ...(await label(raw, soft)) };
          start += rows;
        }
        await source.assertSameFile?.();
        const moved = watch?.moved();
        if (moved) log(`dpmesh: warning: ${movedText(name, moved, run)}`);
      },
      close() {
        close();
        source.close();
      },
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

const MOST_MOVED = 4;

function movedText(name: string, moved: Map<number, number>, run: string): string {
  const texts = [...moved].map(([from, to]) => `column ${from + 1} like column ${to + 1}`);
  const some = texts.slice(0, MOST_MOVED);
  const more = moved.size > MOST_MOVED ? ', …' : '';
  return `${name} looks as if its columns were in another order than those of the run ${run} (${some.join(', ')}${more}): without names they are taken in that of the run`;
}

async function unusable(source: Source, row: number, data: string, largest: number): Promise<UserError> {
  const { where, isLarge } = await diagnoseRow(source, row, largest);
  const what = isLarge
    ? `a value larger than the supported maximum (${formatNumber(largest)}); remove the row`
    : 'NaN or infinite values; remove the row or fill them';
  return new UserError(`${data}: ${where} has ${what}`);
}
