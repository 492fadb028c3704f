import type { Columns, Numbers } from '../view/report-data.ts';
import type { ReportContents } from './contents.ts';
import type { Points } from './scatter.ts';

/** Of more epochs, some are left out. */
const MOST_EPOCHS = 5000;

/** The numbers of all pictures. */
export function numbersOf({
  history,
  clusters,
  map,
  exemplars,
  subClusters,
  table,
  tree,
  confusion,
}: ReportContents): Numbers {
  const numbers: Numbers = {};
  if (clusters) numbers.clusters = pointColumns(clusters.points, clusters.dim);
  if (map) numbers.map = pointColumns(map.points, 2);
  if (exemplars) {
    const shown = exemplars.clusters.flatMap(({ cluster, at }) => at.map((row) => ({ cluster, row })));
    numbers.exemplars = {
      cluster: shown.map(({ cluster }) => cluster),
      row: shown.map(({ row }) => row),
    };
  }
  if (subClusters) {
    const { points, dim } = subClusters;
    numbers['sub-clusters'] = {
      ...pointColumns(points, dim),
      responsibility: Array.from(points.responsibility, short),
    };
  }
  if (history) {
    const { epochs } = history;
    const every = Math.ceil(epochs.length / MOST_EPOCHS);
    const kept = epochs.filter((_, i) => i % every === 0 || i === epochs.length - 1);
    const epoch = kept.map((one) => one.epoch);
    numbers.k = { epoch, k: kept.map(({ k }) => k) };
    numbers.losses = {
      epoch,
      loss: kept.map(({ loss }) => loss && short(loss)),
      'sub-loss': kept.map(({ subLoss }) => subLoss && short(subLoss)),
    };
  }
  if (table?.counted)
    numbers.sizes = {
      cluster: table.clusters.map((_, c) => c),
      rows: table.clusters.map(({ rows }) => rows),
    };
  if (tree) {
    const { joins, clusters: k } = tree;
    numbers.dendrogram = {
      'new node': joins.map((_, i) => k + i),
      a: joins.map(({ a }) => a),
      b: joins.map(({ b }) => b),
      height: joins.map(({ height }) => short(height)),
    };
  }
  if (confusion)
    numbers.confusion = {
      cluster: confusion.clusters,
      ...Object.fromEntries(
        confusion.classes.map((name, c) => [`class ${name}`, confusion.counts.map((row) => row[c])]),
      ),
    };
  return numbers;
}

const short = (value: number): number => Number(value.toPrecision(5));

const pointColumns = ({ x, y, row, ...more }: Points & { cluster?: Int32Array }, dim: number): Columns => ({
  row: Array.from(row),
  ...(more.cluster && { cluster: Array.from(more.cluster) }),
  x: Array.from(x, short),
  ...(dim > 1 && { y: Array.from(y, short) }),
});
