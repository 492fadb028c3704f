import { join } from 'node:path';
import { rowTexts } from '../../data/texts/texts.ts';
import { clusterOfComponents } from '../../model/stream/stream.ts';
import { hasKeptTexts, KEPT_TEXTS, keptTexts } from '../../run/base-run.ts';
import { aboutClusters } from '../../run/passes/count-words.ts';
import { publishHashes, publishTransform } from '../fit/publish.ts';
import { labelsOnly } from '../fit/row-writer.ts';
import type { RunContext, RunStage } from '../fit/run-state.ts';
import { fullPasses, labelWithIds } from '../fit/stages/full-passes.ts';
import { relabel } from '../fit/stages/relabel.ts';
import { wordsOf } from '../fit/words.ts';
import { clustersAfter } from './clusters-after.ts';
import { idsBefore } from './clusters-before.ts';

/**
 * The last stage of an update. The sample's rows first: of all rows so far they tell what clusters are. Then the new ones, and those of
 * earlier updates if they are to be labelled anew.
 */
export function labelStage(context: RunContext): RunStage {
  const { trainer, out, dispatcher, emit, observer, serve, update: request } = context;
  return {
    name: 'label',
    ended: ({ labelled }) => (labelled ? 'done' : null),
    async step(state) {
      const { sample, stream, rows, read } = state.update!;
      const run = state.run!;
      const labels = new Int32Array(sample.rows);
      const inMemory = labelsOnly(() => ({
        write: (some, first) => labels.set(some, first),
        update: async (_, change) => change(labels),
      }));
      const components = await idsBefore(context, state.update!);
      const before = { components, clusters: components.map(clusterOfComponents(stream)) };
      const values = await sample.read(0, sample.rows);
      const earlier = { rows: values, of: before.clusters };
      const passes = await fullPasses({ ...context, labels: null, out: inMemory, earlier }, state)();
      const { centres } = passes;
      const after = await clustersAfter(context, state, passes, { rows: values, labels, before });
      const { found, ids, lineage } = after;
      for (const event of lineage) emit({ type: 'lineage', ...event });
      const tree = await trainer.tree(after.state, found);
      const texts = hasKeptTexts(out.path)
        ? await wordsOf(context, {
            ...aboutClusters(passes.found, tree),
            layout: state.layout,
            texts: rowTexts(keptTexts(out.path), join(out.path, KEPT_TEXTS)),
            labels: [{ start: 0, labels }],
          })
        : null;
      const { sampled } = found;
      const silhouette = sampled.rows.length
        ? await trainer.silhouette(sampled.rows, run.d, sampled.labels)
        : null;
      if (request!.relabel)
        await relabel(
          context,
          { run, state: after.state, centres, ids, encoding: state.encoding },
          stream.parts.slice(0, -1),
        );
      serve(rows.source, rows.layout);
      publishHashes({ dispatcher }, read.hashes);
      publishTransform({ dispatcher, transform: run.transform }, 1);
      const labelling = { ...context, run, map: await state.map! };
      const passed = await labelWithIds(labelling, rows.layout, after.state, centres, ids);
      const { order, T, counts, columns } = found;
      observer?.labelled(counts, { state: after.state, order, ids }, tree);
      const shown = { ...passed.shown, quantiles: found.shown.quantiles };
      return {
        ...state,
        ...{ source: rows.source, layout: rows.layout },
        labelled: {
          found: { ...passed, order, T, counts, columns, sampled, shown },
          ...{ silhouette, centres, state: after.state, tree, added: [] },
          ...{ stream: after.stream, kept: after.kept, lineage, texts },
        },
      };
    },
  };
}
