import { confidenceOf, reachOf } from '../model/description/distances.ts';
import type { Name } from '../model/description/names.ts';
import { SOFT_NUMBERS, softNumbers } from '../model/row-columns.ts';
import type { Predictor, RowLabels } from '../passes/predict.ts';
import { type LabelColumn, labelColumns, MAP_COLUMNS, mapColumns } from '../run/label-table.ts';

/**
 * The columns of labels of new rows, as far as the model knows them, and those of some rows, which have responsibilities. `called`: what
 * clusters are called.
 */
export function predictedColumns(
  {
    quantiles,
    outliers,
    gaussian,
    ids,
    hasMap = false,
  }: Pick<Predictor, 'quantiles' | 'outliers' | 'gaussian' | 'ids'> & Partial<Pick<Predictor, 'hasMap'>>,
  called: readonly (Name | null)[] = [],
) {
  const known = quantiles && labelColumns(quantiles, outliers, ids, called, hasMap);
  const names: readonly LabelColumn[] = known?.names ?? [
    'cluster',
    ...SOFT_NUMBERS,
    ...(hasMap ? MAP_COLUMNS : []),
  ];
  const reach = gaussian === null ? 0 : reachOf(gaussian);
  return {
    names,
    of({ labels, responsibilities, distance, map, outliers: flags }: RowLabels) {
      const numbers = softNumbers(labels, responsibilities!);
      if (!known)
        return {
          ...{ cluster: ids ? labels.map((label) => ids[label]) : labels, ...numbers },
          ...(map && mapColumns(map)),
        };
      const confidence =
        gaussian === null
          ? numbers.confidence
          : numbers.confidence.map((r, i) => confidenceOf(r, distance![i], gaussian, reach));
      return known.of({ labels, ...numbers, confidence, distance: distance!, map, outliers: flags });
    },
  };
}
