import { type Candidate, distanceCounts, keepLeast, MOST_SHOWN } from '../../model/description/distances.ts';
import { type Order, placesOf } from '../../model/state.ts';
import { type Tensors, take } from '../../proto/tensors.ts';

/** A row that is nearly as well in another cluster: `margin` is what its largest responsibility exceeds that one's by. */
export interface BorderRow {
  row: number;
  margin: number;
  rival: number;
}

/** What the full pass found out about the rows of each cluster, by the clusters' numbers by size. */
export interface ClusterRows {
  /** The rows nearest to the centre, the nearest first. */
  exemplars: { row: number; distance: number }[][];
  /** The rows that are nearest to another cluster. */
  border: BorderRow[][];
  /** Of the distances of rows from the centre: [K, 1001] (model/description/distances.ts). */
  quantiles: Float32Array;
}

/** Collects them from the parts of the full pass, whose order does not matter. Outliers do not count. */
export function clusterRowsCollector(k: number) {
  const lists = <C extends Candidate>() => Array.from({ length: k }, (): C[] => []);
  const exemplars = lists();
  const border = lists<Candidate & { rival: number }>();
  const counts = distanceCounts(k);
  return {
    /** `rowAt`: the rows of the part, by their place in it. */
    add(part: Tensors, rowAt: (place: number) => number): void {
      const labels = part.labels.data;
      const flags = part.outliers?.data;
      const distance = take(part, 'distance', 'float32');
      for (let i = 0; i < labels.length; i++) if (!flags?.[i]) counts.add(labels[i], distance[i]);
      const nearest = take(part, 'exemplars', 'int32');
      const beside = take(part, 'border', 'int32');
      const rivals = take(part, 'rival', 'int32');
      const margins = take(part, 'margin', 'float32');
      for (let p = 0; p < nearest.length; p++) {
        const cluster = Math.floor(p / MOST_SHOWN);
        if (nearest[p] >= 0)
          keepLeast(exemplars[cluster], { row: rowAt(nearest[p]), value: distance[nearest[p]] });
        if (beside[p] >= 0)
          keepLeast(border[cluster], { row: rowAt(beside[p]), value: margins[p], rival: rivals[p] });
      }
    },
    /** `order`: for each number by size the output unit. */
    result(order: Order): ClusterRows {
      const places = placesOf(order);
      return {
        exemplars: order.map((unit) => exemplars[unit].map(({ row, value }) => ({ row, distance: value }))),
        border: order.map((unit) =>
          border[unit].map(({ row, value, rival }) => ({ row, margin: value, rival: places[rival] })),
        ),
        quantiles: counts.quantiles(order),
      };
    },
  };
}
