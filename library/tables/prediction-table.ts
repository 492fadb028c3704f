import { UserError } from '../../base/user-error.ts';
import { labelColumns, namesOfRows } from '../../coordinator/storage/descriptions.ts';
import { type LabelColumn, nameOfRows } from '../../data/saved/label-table.ts';
import type { Labelled, Predictor } from '../../worker/predict.ts';
import { createLabelTable } from './label-file.ts';

interface TableInput {
  data: unknown;
  log: (line: string) => void;
  /** Replace a file. */
  force: boolean;
  /** Labels are those of clusters that are joined, from whose centres no distances are known. */
  isJoined: boolean;
}

/** Starts the .csv or .parquet of a prediction: what `labels.csv` has of the run's rows, as far as it is known. */
export async function predictionTable(
  path: string,
  predictor: Predictor,
  { data, log, force, isJoined }: TableInput,
) {
  const { images, quantiles, outliers } = predictor;
  const id = images ? null : await idOf(predictor, log);
  const source = { images: images ?? undefined, texts: predictor.texts };
  const names = namesOfRows(source, { data: typeof data === 'string' ? data : 'data', id });
  const known = isJoined || !quantiles ? null : labelColumns(quantiles, outliers);
  const columns: LabelColumn[] = known?.names ?? ['cluster', 'confidence'];
  const table = await createLabelTable(path, nameOfRows(images ? 'image' : id), columns, {
    hasIds: names !== null,
    force,
  });
  return {
    async write({ start, labels, responsibilities, distance, outliers: flags }: Labelled): Promise<void> {
      const k = responsibilities!.length / labels.length;
      const confidence = Float32Array.from(labels, (label, i) => responsibilities![i * k + label]);
      const ids = names && (await names.next(labels.length));
      const own = known
        ? known.of({ labels, confidence, distance: distance!, outliers: flags })
        : { cluster: labels, confidence };
      table.write({ start, ids, columns: own });
    },
    /** Everything is written. */
    async complete(): Promise<void> {
      await names?.end();
      table.end();
    },
    finish: table.finish,
    abort() {
      table.abort();
      void names?.close();
    },
  };
}

/** The column that names the rows, if the data have it. */
async function idOf({ id, texts }: Predictor, log: (line: string) => void): Promise<string | null> {
  if (id === null || !texts) return null;
  try {
    for await (const _ of texts(id)) break;
    return id;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log(`rows have their numbers as names: ${error.message}`);
    return null;
  }
}
