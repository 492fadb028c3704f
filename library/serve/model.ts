import { ranges, yieldToEventLoop } from '../../base/slices.ts';
import { oneLine } from '../../base/text.ts';
import { takeLogarithms } from '../../data/steps/log.ts';
import { columnCalled, formatNumber } from '../../data/value-range.ts';
import { MAP_COLUMNS } from '../../run/label-table.ts';
import { loadLabeller } from '../../run/passes/labeller.ts';
import { columnsOf, largestOf, readTrainedModel } from '../../run/trained-model.ts';
import { predictedColumns } from '../predicted-columns.ts';
import { createBatches, type OutputColumns } from './batches.ts';
import { refusal } from './bodies.ts';
import { type InferRequest, OUTPUTS, type OutputName, PIECE_NUMBERS, type Signature } from './protocol.ts';

const isOfMap = (output: OutputName) => MAP_COLUMNS.some((name) => name === output);

/** A run's model in memory, and the requests that it answers. */
export type Model = Awaited<ReturnType<typeof loadModel>>;

/** Loads the model of a run; UserError if that is not finished. `labelled`: called after each batch. */
export async function loadModel(
  run: string,
  { labelled, log }: { labelled(rows: number, columns: OutputColumns): void; log(line: string): void },
) {
  const trained = readTrainedModel(run, { details: true, map: true });
  const { logged, names } = trained;
  const labeller = await loadLabeller(trained, { details: true, map: true, components: true, log });
  const { k, quantiles, has } = labeller;
  const largest = largestOf(trained);
  const described = predictedColumns(labeller);
  const columns = columnsOf(trained);
  const signature: Signature = {
    ...{ columns, k },
    outputs: (Object.keys(OUTPUTS) as OutputName[]).filter(
      (name) =>
        (quantiles || !['distance', 'outlier_score'].includes(name)) &&
        (has.log_density || name !== 'log_density') &&
        (has.map || !isOfMap(name)),
    ),
  };
  const batches = createBatches(columns, {
    isRowwise: labeller.isRowwise,
    labelled,
    async label(values, asked) {
      const found = await labeller.label(
        values,
        true,
        MAP_COLUMNS.some((name) => asked.has(name)),
      );
      const { cluster: label, ...own } = described.of(found);
      return { label, ...own, probabilities: found.responsibilities! };
    },
  });
  let [inUse, isRetired, isFreed] = [0, false, false];
  const freeIfUnused = () => {
    if (!isRetired || inUse || isFreed) return;
    isFreed = true;
    labeller.close();
  };

  /** UserError where a value cannot be labelled. Puts logarithms in the place of some. */
  async function prepare({ rows, values, sent }: InferRequest): Promise<void> {
    for (const { from, to } of ranges(rows, Math.ceil(PIECE_NUMBERS / columns))) {
      if (from) await yieldToEventLoop();
      prepareRows(values.subarray(from * columns, to * columns), from * columns, sent);
    }
  }

  /** `first`: the place of the first value among those of the request. */
  function prepareRows(values: Float32Array, first: number, sent: InferRequest['sent']): void {
    const place = (at: number) =>
      oneLine(
        `row ${Math.floor((first + at) / columns)} (counted from 0), ${columnCalled(names, at % columns)}: ${formatNumber(sent(first + at))}`,
      );
    const at = takeLogarithms(values, columns, logged);
    if (at !== null)
      throw refusal(
        400,
        `${place(at)} has no logarithm, by which the run knows this column: leave the row out`,
      );
    const wrong = values.findIndex((value) => !(Math.abs(value) <= largest));
    if (wrong < 0) return;
    const what = Number.isFinite(sent(first + wrong))
      ? `is larger than the supported maximum (${formatNumber(largest)}): leave the row out`
      : 'is no number that can be labelled: fill it, or leave the row out';
    throw refusal(400, `${place(wrong)} ${what}`);
  }

  return {
    run,
    signature,
    /** That of its content: the same labels under the same version. */
    version: trained.version,
    /** The names of columns; null where they have none. */
    names,
    /** The labels of clusters in the order of the columns of probabilities. */
    ids: labeller.ids ?? Array.from({ length: k }, (_, cluster) => cluster),
    waiting: batches.waiting,
    /** What is asked for, output by output. */
    async infer(request: InferRequest, isGone: () => boolean) {
      await prepare(request);
      const outputs: OutputColumns = {};
      for (const { name } of request.outputs)
        outputs[name] ??= new OUTPUTS[name].array(request.rows * (name === 'probabilities' ? k : 1));
      await batches.add(request.values, outputs, isGone);
      return request.outputs.map((output) => ({ ...output, values: outputs[output.name]! }));
    },
    /** Keeps the model in memory while it works. */
    async use<T>(work: () => Promise<T>): Promise<T> {
      if (isFreed) throw refusal(503, 'the server is ending: ask another one');
      inUse++;
      try {
        return await work();
      } finally {
        inUse--;
        freeIfUnused();
      }
    },
    /** Frees the model once nobody uses it. */
    retire(): void {
      isRetired = true;
      freeIfUnused();
    },
  };
}
