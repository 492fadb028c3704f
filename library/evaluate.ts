import { UserError } from '../base/user-error.ts';
import { accuracy, ari, contingency, nmi } from '../model/scores.ts';
import { labelsOf } from './arrays.ts';
import { assertKnown } from './checks.ts';
import type { EvaluateOptions, LabelData } from './options.ts';

/** Hungarian matching beyond this takes minutes, and such labels are hardly labels. */
const MOST_PAIRS = 2 ** 25;

/** How far a clustering and true classes agree. */
export interface Evaluation {
  /** Normalized mutual information, 0 to 1. */
  readonly nmi: number;
  /** Adjusted Rand index, at most 1. */
  readonly ari: number;
  /** Clustering accuracy under the best matching of clusters and classes, 0 to 1. */
  readonly acc: number;
  /** Clusters and classes that occur. */
  readonly k: number;
  readonly classes: number;
  readonly rows: number;
}

/**
 * Compares a clustering with true classes.
 *
 * @throws {UserError} (rejection) where a file cannot be read, or the two are not of the same rows
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  assertKnown('evaluate', options, ['pred', 'labels']);
  const [predName, truthName] = [nameOf(options.pred, 'pred'), nameOf(options.labels, 'labels')];
  const pred = await labelsOf(options.pred, 'pred');
  const truth = await labelsOf(options.labels, 'labels');
  if (pred.codes.length !== truth.codes.length)
    throw new UserError(
      `${predName} has ${pred.codes.length} labels, ${truthName} has ${truth.codes.length}: ` +
        'they must be of the same rows',
    );
  if (pred.names.length * truth.names.length > MOST_PAIRS)
    throw new UserError(
      `${predName} has ${pred.names.length} different labels, ${truthName} has ${truth.names.length}: ` +
        'too many to compare; are both files of labels?',
    );
  const table = contingency(pred.codes, truth.codes);
  const { clusters: k, classes, rows } = table;
  return { nmi: nmi(table), ari: ari(table), acc: accuracy(table), k, classes, rows };
}

const nameOf = (data: LabelData, option: string) => (typeof data === 'string' ? data : option);
