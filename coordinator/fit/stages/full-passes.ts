import { type Centres, reorderedCentres } from '../../../model/description/distances.ts';
import { componentOrder, totalsByCluster } from '../../../model/gaussian/components.ts';
import { logBackground } from '../../../model/gaussian/noise.ts';
import type { MapNet } from '../../../model/graph/map-net.ts';
import type { Layout } from '../../../model/layout.ts';
import type { MissedCluster } from '../../../model/missed.ts';
import { bySize, placesOf } from '../../../model/order.ts';
import { renumbered, type State, withoutClusters } from '../../../model/state.ts';
import type { FullPassResult } from '../../../run/descriptions.ts';
import { labelAllRows, OutliersAlone, type Reviewed } from '../full-pass.ts';
import type { EarlierClusters } from '../gaussian/combine.ts';
import type { LabelParts } from '../label-parts.ts';
import { farRowsKept } from '../missed.ts';
import { publishCentres, publishClassifier, publishDensities, publishMap } from '../publish.ts';
import type { Output } from '../row-writer.ts';
import type { Prepared } from '../run-context.ts';
import type { Ports, RunState } from '../run-state.ts';

/** All rows are labelled, and clusters numbered by size. */
export interface FullPasses {
  /** `order`: the number that each component had in training; those of clusters that it had missed have the numbers after these. */
  found: FullPassResult;
  /** The state that has labelled them, and its centres. */
  state: State;
  centres: Centres;
}

/** A missed cluster gets at most so many times the rows of it that were far from all others, and at least its inverse. */
const MOST_GROWTH = 2;

/**
 * The full pass, repeated while it finds clusters that were missed, or have outliers alone. If its files cannot be written,
 * the next attempt begins with what this one has found.
 */
export function fullPasses(
  {
    labels,
    out,
    parts,
    map,
    earlier,
    trainer,
    dispatcher,
  }: Ports<'dispatcher' | 'labels' | 'trainer'> & {
    out: Output;
    /** Places rows on the map. */
    map?: MapNet;
    parts?: (key: string) => LabelParts;
    /** Of an update. */
    earlier?: EarlierClusters;
  },
  { run: prepared, clusters, layout }: RunState,
): () => Promise<FullPasses> {
  const run = { ...prepared!, dispatcher };
  const { k } = clusters!.mixture;
  let trained: State;
  /** Once they have been looked for: the clusters that were missed, in the pass that found them, and the state before. */
  let missed: { clusters: MissedCluster[]; from: Reviewed; before: State } | null = null;

  async function isRight(found: Reviewed): Promise<boolean> {
    if (!missed) {
      missed = { clusters: await trainer.findMissed(trained, found), from: found, before: trained };
      if (!missed.clusters.length) return true;
    } else {
      // A cluster takes few rows that another one explains: else there is no gap between the two.
      const grown = missed.clusters.map(
        ({ parts }, i) => found.T[k + i][0] / parts.reduce((sum, { T }) => sum + T[0], 0),
      );
      const right = missed.clusters.filter((_, i) => grown[i] <= MOST_GROWTH && grown[i] >= 1 / MOST_GROWTH);
      if (right.length === missed.clusters.length) return true;
      missed = { ...missed, clusters: right };
    }
    trained = missed.clusters.length
      ? await trainer.withMissed(missed.before, missed.from, missed.clusters)
      : missed.before;
    return false;
  }

  return async () => {
    trained ??= await trainer.clusters(clusters!, earlier);
    if (map) publishMap(run, map);
    for (;;) {
      // By size as the mixture has it, so that little or nothing is left to renumber once all rows are counted. Checkpoints keep
      // the numbers of training: from one of them, these bytes come out again.
      const { mixture, groups } = trained;
      const { k, weights } = mixture;
      const largestFirst = bySize(totalsByCluster(weights, groups));
      const guess = componentOrder(largestFirst, k, groups, (component) => weights[component]);
      const places = placesOf(guess);
      const centres = await trainer.centresOf(mixture);
      const numbered = reorderedCentres(centres, guess);
      publishCentres(run, 'cluster-centres', numbered);
      const far = missed ? 0 : farRowsKept(run, trained);
      if (far) publishCentres(run, 'far-bounds', reorderedCentres(await trainer.farBounds(trained), guess));
      const used = renumbered(trained, guess);
      const byMixture = publishClassifier(run, used);
      const density = publishDensities(run, used, numbered);
      const noise = used.background && logBackground(used.background);
      const review = ({ T, far }: Reviewed) =>
        isRight({
          T: Array.from(places, (unit) => T[unit]),
          far: { ...far, labels: far.labels.map((unit) => guess[unit]) },
        });
      try {
        const found = await labelAllRows(run, layout, guess.length, out, {
          truth: labels?.codes,
          below: clusters!.sample.below,
          ...{ far, byMixture, density, parts, groups: used.groups, map: map !== undefined },
          ...{ ...(noise !== undefined && { noise }), ...((far || missed) && { review }) },
        });
        if (found) {
          const order = found.order.map((unit) => guess[unit]);
          return {
            found: { ...found, order },
            state: renumbered(used, found.order),
            centres: reorderedCentres(centres, order),
          };
        }
      } catch (error) {
        if (!(error instanceof OutliersAlone)) throw error;
        trained = withoutClusters(
          trained,
          error.components.map((component) => guess[component]),
        );
      }
    }
  };
}

/** Labels rows by a state whose clusters keep their numbers, and are written as these ids. `centres`: by these numbers. */
export async function labelWithIds(
  {
    run: prepared,
    dispatcher,
    out,
    labels,
    map,
  }: Ports<'dispatcher' | 'labels'> & { out: Output; run: Prepared; map?: MapNet },
  layout: Layout,
  state: State,
  centres: Centres,
  ids: readonly number[],
): Promise<FullPassResult> {
  const run = { ...prepared, dispatcher };
  publishCentres(run, 'cluster-centres', centres);
  const byMixture = publishClassifier(run, state);
  const density = publishDensities(run, state, centres);
  if (map) publishMap(run, map);
  const { mixture, groups, background } = state;
  return (await labelAllRows(run, layout, mixture.k, out, {
    ...{ truth: labels?.codes, byMixture, groups, density, ids, map: map !== undefined },
    ...(background && { noise: logBackground(background) }),
  }))!;
}
