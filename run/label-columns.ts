import { outlierScore } from '../model/description/distances.ts';
import type { Name } from '../model/description/names.ts';
import { type LabelColumn, MAP_COLUMNS, mapColumns, rounded } from './label-table.ts';
import type { RowSlice } from './row-files.ts';

/**
 * The columns of the tables, and those of some rows; `quantiles`: of distances, by cluster; `ids`: of clusters, their numbers by default;
 * `called`: what they are called. A column that only repeated the numbers is left out.
 */
export function labelColumns(
  quantiles: Float32Array,
  outliers: number | null,
  ids: readonly number[] | null = null,
  called: readonly (Name | null)[] = [],
  hasMap = false,
) {
  const isNamed = called.some((one) => one && one.namedBy !== 'number');
  const names: LabelColumn[] = [
    'cluster',
    ...(isNamed ? (['cluster_name'] as const) : []),
    ...(['confidence', 'distance', 'outlier_score'] as const),
  ];
  if (outliers !== null) names.push('cluster_or_outlier');
  if (hasMap) names.push(...MAP_COLUMNS);
  return {
    names,
    of({ labels, confidence, distance, map, outliers: flags }: Omit<RowSlice, 'start'>) {
      // Rows that were set apart are far from all clusters.
      const score = Float64Array.from(labels, (label, i) =>
        flags?.[i] ? 1 : rounded(outlierScore(quantiles, label, distance[i])),
      );
      const shown = ids ? labels.map((label) => ids[label]) : labels;
      return {
        ...{ cluster: shown, confidence, distance, outlier_score: score },
        ...(isNamed && { cluster_name: Array.from(labels, (label) => called[label]?.name ?? '') }),
        ...(outliers !== null && {
          cluster_or_outlier: shown.map((label, i) => (score[i] > outliers ? -1 : label)),
        }),
        ...(map && mapColumns(map)),
      };
    },
  };
}
