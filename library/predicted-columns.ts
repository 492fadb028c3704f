import { confidenceOf, reachOf } from '../model/description/distances.ts';
import type { Name } from '../model/description/names.ts';
import { NOISE } from '../model/order.ts';
import { NONE_OPTIONAL, SOFT_NUMBERS, softNumbers } from '../model/row-columns.ts';
import { type LabelColumn, labelColumns, MAP_COLUMNS, mapColumns } from '../run/label-table.ts';
import type { Labeller, RowLabels } from '../run/passes/labeller.ts';

/**
 * The columns of labels of new rows, as far as the model knows them, and those of some rows, which have responsibilities. `called`: what
 * clusters are called.
 */
export function predictedColumns(
  {
    quantiles,
    gaussian,
    ids,
    has = NONE_OPTIONAL,
  }: Pick<Labeller, 'quantiles' | 'gaussian' | 'ids'> & Partial<Pick<Labeller, 'has'>>,
  called: readonly (Name | null)[] = [],
) {
  const known = quantiles && labelColumns(quantiles, ids, called, has);
  const names: readonly LabelColumn[] = known?.names ?? [
    'cluster',
    ...(has.component ? (['component'] as const) : []),
    ...SOFT_NUMBERS,
    ...(has.map ? MAP_COLUMNS : []),
  ];
  const reach = gaussian === null ? 0 : reachOf(gaussian);
  return {
    names,
    of({ labels, component, responsibilities, distance, log_density, map, outliers: flags }: RowLabels) {
      const numbers = softNumbers(labels, responsibilities!);
      if (!known)
        return {
          ...{ cluster: ids ? labels.map((label) => ids[label] ?? NOISE) : labels, ...numbers },
          ...(component && { component }),
          ...(map && mapColumns(map)),
        };
      const confidence =
        gaussian === null
          ? numbers.confidence
          : numbers.confidence.map((r, i) =>
              labels[i] === NOISE ? r : confidenceOf(r, distance![i], gaussian, reach),
            );
      const found = { ...numbers, confidence, distance: distance!, log_density };
      return known.of({ labels, component, ...found, map, outliers: flags });
    },
  };
}
