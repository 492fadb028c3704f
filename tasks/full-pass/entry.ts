import * as z from 'zod/mini';
import { SHA256_BYTES } from '../../base/hash.ts';
import { type RowColumn, type RowColumnName, rowColumns } from '../../model/row-columns.ts';
import { centreWidth } from '../../model/statistics.ts';
import { MOST_SHOWN } from '../../model/widths.ts';
import {
  anyNumbers,
  counts,
  float32,
  float64,
  index,
  int32,
  label,
  positiveOrZero,
  type TensorSpecs,
  uint8,
  whole,
} from '../../proto/shapes.ts';
import { FORWARD_ROWS } from '../../proto/task-limits.ts';
import { task } from '../../proto/tasks.ts';
import {
  byMixture,
  count,
  covarianceOf,
  mostSampled,
  natural,
  readsOfClusters,
  sample,
  share,
  statistics,
  widestOf,
} from '../parameters.ts';
import { STATES } from '../states.ts';

/** All rows once more, when clusters are final: labels, and what is said of rows and clusters. */

/** What a worker returns of each row: the columns, or the hashes of the files that it has written them to. */
const rowResults = (columns: [string, RowColumn][], areFiles: boolean): TensorSpecs =>
  areFiles
    ? { hashes: uint8([columns.length, SHA256_BYTES], index(256)) }
    : Object.fromEntries(columns.map(([name, column]) => [name, rowSpec(column)]));

function rowSpec({ width, values }: RowColumn) {
  const shape = width === 1 ? ['n'] : ['n', width];
  if (values === 'clusters') return label(shape, index('G'));
  if (values === 'components') return int32(shape, whole(-1, 'K'));
  if (values === 'flags') return uint8(shape, index(2));
  if (values === 'finite') return float32(shape);
  return float32(shape, values === 'any' ? anyNumbers : positiveOrZero);
}

export const entries = {
  'full-pass': task({
    parameters: {
      ...{ diagonal: z.boolean(), soft: z.boolean(), silhouette: share, far: count, byMixture },
      /** So many clusters, of which some have several components of the mixture; absent: each component is one. */
      clusters: z.optional(natural),
      /** log of the density of a background: its rows have the label after those of the clusters, and count in no statistics. */
      noise: z.optional(z.number()),
      /** The component of each row too. */
      components: z.optional(z.boolean()),
      /** Log densities too. */
      density: z.optional(z.boolean()),
      /** Rows are placed on the map too. */
      map: z.optional(z.boolean()),
      /** Where the worker writes what there is of each row: a folder in that of the run. `gaussian`: distances say how sure labels are. */
      parts: z.optional(
        z.object({ folder: z.string().check(z.regex(/^[0-9a-f]{16}$/)), gaussian: z.boolean() }),
      ),
    },
    ...{ rows: 'blocks', sums: false },
    reads: (task) => ({
      ...{ ...sample, ...readsOfClusters(task), 'cluster-centres': STATES['cluster-centres'] },
      ...(task.clusters && { groups: STATES.groups }),
      ...(task.far > 0 && { 'far-bounds': STATES['far-bounds'] }),
      ...(task.density && { densities: STATES.densities }),
      ...(task.map && { map: STATES.map }),
    }),
    sizes: (task, sizes) => ({
      ...statistics('D')(task, sizes),
      G: (task.clusters ?? sizes.K) + (task.noise === undefined ? 0 : 1),
      centre: centreWidth(sizes.D, covarianceOf(task)),
    }),
    largest: (task, sizes) =>
      (FORWARD_ROWS / 2 + sizes.blockRows) * Math.max(widestOf(task, sizes), task.map ? sizes.units : 0),
    results: ({ soft, far, components = false, density = false, map = false, parts }, { transform }) => ({
      ...rowResults(
        rowColumns({
          ...{ component: components, log_density: density, map, outliers: 'fences.columns' in transform },
        }),
        parts !== undefined,
      ),
      // A column of rows of one of these names would not compile.
      ...({
        T: float64(['K', 'P']),
        columns: float64(['G+1', 'dim']),
        exemplars: int32(['G', MOST_SHOWN], whole(-1, 'n')),
        border: int32(['G', MOST_SHOWN], whole(-1, 'n')),
        rival: int32(['G', MOST_SHOWN], whole(-1, 'G')),
        margin: float32(['G', MOST_SHOWN], anyNumbers),
        seenLabels: int32(['seen'], index('G')),
        seen: float32(['seen', 'D']),
        ...(far > 0 && {
          far: int32(['kept'], index('n')),
          farComponents: int32(['kept'], index('K')),
          farRows: float32(['kept', 'D']),
          allFar: int32([1], counts),
        }),
        ...(soft && { soft: float32(['n', 'G'], anyNumbers) }),
      } satisfies TensorSpecs & { [Name in RowColumnName]?: never }),
    }),
    limits: ({ silhouette, far }, { n }) => ({ seen: mostSampled(n, silhouette), kept: Math.min(n, far) }),
    isPossible: ({ border, rival }) => border.data.every((row, p) => row < 0 || rival.data[p] >= 0),
  }),
};
