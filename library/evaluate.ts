import { UserError } from '../base/user-error.ts';
import { accuracy, ari, contingency, nmi } from '../model/scores.ts';
import { assertOptions, fixedPaths } from './arguments.ts';
import type { LabelData } from './inputs.ts';
import { labelsOf } from './label-data.ts';

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Predicted labels, one per row. */
  pred: LabelData;
  /** True classes of the same rows, in the same order. */
  labels: LabelData;
}

/** Hungarian matching of larger tables takes minutes, and files of so many different values are hardly labels. */
const MAX_PAIRS = 2 ** 25;

/** The agreement of a clustering with the true classes. */
export interface Evaluation {
  /** Normalized mutual information (arithmetic mean of the entropies), 0 to 1. */
  readonly nmi: number;
  /** Adjusted Rand index, at most 1. */
  readonly ari: number;
  /**
   * Clustering accuracy, 0 to 1: the fraction of rows whose cluster matches their class, under the best one-to-one
   * matching.
   */
  readonly acc: number;
  /** Number of different predicted labels. */
  readonly k: number;
  /** Number of different true classes. */
  readonly classes: number;
  /** Number of rows. */
  readonly rows: number;
}

/**
 * Compares a clustering with the true classes of the same rows. The numbers of clusters need not match those of classes.
 *
 * @throws {UserError} (rejection) if a file cannot be read, or the numbers of labels differ
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  assertOptions('evaluate', options, { pred: 'any', labels: 'any' }, ['pred', 'labels']);
  const [predName, truthName] = [nameOf(options.pred, 'pred'), nameOf(options.labels, 'labels')];
  const paths = fixedPaths();
  const inputs = [paths.fixInput(options.pred), paths.fixInput(options.labels)];
  const [pred, truth] = await paths.naming(async () => [
    await labelsOf(inputs[0], 'pred'),
    await labelsOf(inputs[1], 'labels'),
  ]);
  if (pred.codes.length !== truth.codes.length)
    throw new UserError(
      `${predName} has ${pred.codes.length} labels, but ${truthName} has ${truth.codes.length}; pass labels of the same rows`,
    );
  if (pred.names.length * truth.names.length > MAX_PAIRS)
    throw new UserError(
      `${predName} has ${pred.names.length} different labels and ${truthName} has ${truth.names.length}, too many to compare; check that both are labels`,
    );
  const table = contingency(pred.codes, truth.codes);
  const { clusters: k, classes, rows } = table;
  return { nmi: nmi(table), ari: ari(table), acc: accuracy(table), k, classes, rows };
}

const nameOf = (data: LabelData, option: string) => (typeof data === 'string' ? data : option);
