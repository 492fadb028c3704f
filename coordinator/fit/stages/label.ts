import { componentsOf } from '../../../model/gaussian/components.ts';
import { TREE } from '../../../run/tree.ts';
import { labelParts } from '../label-parts.ts';
import { writeRunFile } from '../results.ts';
import { isInParts, type MetadataPorts, type Ports, type RunStage } from '../run-state.ts';
import { writeAgain } from '../write-again.ts';
import { fullPasses } from './full-passes.ts';

/** Labels all rows; the clusters are numbered by size. UserError as of `writeAgain`. */
export function labelStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'observer' | 'out' | 'resume' | 'trainer' | 'warn' | 'dispatcher' | 'labels'>,
): RunStage {
  const { trainer, observer, out, warn } = context;
  return {
    name: 'label',
    ended: ({ labelled }) => (labelled ? 'done' : null),
    async step(state) {
      const run = state.run!;
      // From now on the results of a run that went on beyond its end are replaced.
      if (context.resume?.how === 'beyond') await writeRunFile(context, state, null);
      const parts = isInParts(context) ? (key: string) => labelParts(out, key) : undefined;
      const map = await state.map!;
      const label = fullPasses({ ...context, parts, map }, state);
      return writeAgain(context, async () => {
        const { found, state: final, centres } = await label();
        const { k } = state.clusters!.mixture;
        const added = componentsOf(final.mixture.k, final.groups).flatMap(([first], cluster) =>
          found.order[first] >= k ? [found.counts[cluster]] : [],
        );
        const { rows, labels } = found.sampled;
        const tree = await trainer.tree(final, { T: found.T, counts: found.counts });
        const silhouette = rows.length ? await trainer.silhouette(rows, run.d, labels) : null;
        if (!tree) warn(`clusters are too flat for a tree of merges: there is no ${TREE}`);
        observer?.labelled(found.counts, { state: final, order: found.order }, tree);
        return { ...state, labelled: { found, silhouette, centres, state: final, tree, added } };
      });
    },
  };
}
