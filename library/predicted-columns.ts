import { confidenceOf, reachOf } from '../model/description/distances.ts';
import type { Name } from '../model/description/names.ts';
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
    ...(['cluster', 'confidence'] as const),
    ...(hasMap ? MAP_COLUMNS : []),
  ];
  const reach = gaussian === null ? 0 : reachOf(gaussian);
  return {
    names,
    of({ labels, responsibilities, distance, map, outliers: flags }: RowLabels) {
      const k = responsibilities!.length / labels.length;
      const confidence = Float32Array.from(labels, (label, i) => {
        const r = responsibilities![i * k + label];
        return known && gaussian !== null ? confidenceOf(r, distance![i], gaussian, reach) : r;
      });
      return known
        ? known.of({ labels, confidence, distance: distance!, map, outliers: flags })
        : {
            ...{ cluster: ids ? labels.map((label) => ids[label]) : labels, confidence },
            ...(map && mapColumns(map)),
          };
    },
  };
}
