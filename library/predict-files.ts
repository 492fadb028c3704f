import { formatOf } from '../data/open.ts';
import { openForModel } from '../run/rows-for-model.ts';
import { type Prediction, type PredictOptions, predictRows } from './predict.ts';

/**
 * Labels rows with the model of a finished run. For the run's own data, the labels are those of the run, or, with
 * `clusters`, of its cut.
 *
 * @throws {UserError} (rejection) if the run is not finished, the number of columns or their names differ, a file exists and `force` is not
 *   set, or the run has fewer than `clusters` or no tree
 * @throws {AbortError} (rejection) if `signal` is aborted
 */
export const predict = (options: PredictOptions): Promise<Prediction> =>
  predictRows(options, { formatOf, open: openForModel });
