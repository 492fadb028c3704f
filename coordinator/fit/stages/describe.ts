import { imageShape } from '../../../data/images/folder.ts';
import { shownNames } from '../../../data/logarithm.ts';
import { rowTexts } from '../../../data/texts/texts.ts';
import type { Name } from '../../../model/description/names.ts';
import { priority } from '../../../model/random.ts';
import { clusterIds, type Stream } from '../../../model/stream/stream.ts';
import { keepTexts, readBase } from '../../../run/base-run.ts';
import { columnSample } from '../../../run/column-sample.ts';
import { namedVariables } from '../../../run/named-columns.ts';
import { aboutClusters } from '../../../run/passes/count-words.ts';
import { rowSlices } from '../../../run/row-files.ts';
import type { UpdateRequest } from '../../../run/run-file.ts';
import { recordedHashes, runFiles } from '../../../run/run-files.ts';
import {
  CLUSTERS,
  readSavedClusters,
  type SavedClusters,
  savedClusters,
  savedNames,
} from '../../../run/saved-clusters.ts';
import { removeDrawn } from '../../../run/stream-files.ts';
import { removeUnfinishedParts } from '../label-parts.ts';
import { writeResults, writeRowTables, writeRunFile } from '../results.ts';
import type { MetadataPorts, Ports, RunStage, RunState } from '../run-state.ts';
import { summaryOf } from '../summary.ts';
import { wordsOf } from '../words.ts';
import { writeAgain } from '../write-again.ts';
import { keepForUpdates } from './keep-sample.ts';

/** Describes all rows and clusters, and writes the results and their summary. UserError as of `writeAgain`. */
export function describeStage(
  context: MetadataPorts &
    Ports<'checkpoints' | 'dispatcher' | 'out' | 'spent' | 'trainer' | 'warn' | 'written'>,
): RunStage {
  const { out, checkpoints, written } = context;
  return {
    name: 'describe',
    ended: ({ summary }) => (summary ? 'done' : null),
    async step(state) {
      const summary = await writeAgain(context, async () => {
        await writeResults(context, state);
        const kept = await keepForUpdates(context, state);
        const described = await describedClusters(context, state, kept);
        out.json(CLUSTERS, savedClusters(described));
        await checkpoints.flush();
        const summary = await summaryOf(context, state, described.wordsError ?? 0);
        await writeRunFile(context, state, summary);
        if (state.update) removeDrawn(out);
        removeUnfinishedParts(out);
        return summary;
      });
      written?.();
      return { ...state, summary };
    },
  };
}

/** What is said of each cluster, once it has a name, by which the tables of rows call it. */
async function describedClusters(
  context: Ports<'config' | 'dispatcher' | 'out' | 'server' | 'source' | 'trainer' | 'update' | 'warn'>,
  state: RunState,
  kept: Stream,
): Promise<SavedClusters> {
  const { source, out, trainer, update } = context;
  const { found, centres, tree, stream, state: final } = state.labelled!;
  const { counts, T, columns, shown } = found;
  const k = counts.filter((rows) => rows > 0).length;
  const areMeant = !state.encoding && !imageShape(source.shape);
  const variables = areMeant ? namedVariables(source) : [];
  const texts = update ? (state.labelled!.texts ?? null) : await describedTexts(context, state);
  const { called, telling } = await trainer.names({
    texts,
    variables,
    sample: variables.length ? await columnSample(out.path, kept, counts.slice(0, k)) : null,
    joins: tree?.joins ?? [],
    labels: clusterIds(kept),
    before: update ? namesBefore(update) : new Map(),
  });
  const ids = await writeRowTables(context, state, called.slice(0, k));
  const rows = counts.reduce((a, b) => a + b, 0);
  const about = { k, rows, labelled: { counts, T, columns, shown }, centres, groups: final.groups ?? null };
  const said = { names: shownNames(source), areMeant, ids, texts, called, telling };
  return trainer.describe({ ...about, ...said, tree, clusterIds: stream ? clusterIds(stream) : null });
}

/** What the texts are about, if there are some: those of the sample are kept for updates. */
async function describedTexts(
  context: Ports<'config' | 'dispatcher' | 'out' | 'server' | 'source' | 'trainer'>,
  { layout, clusters, labelled }: RunState,
) {
  const { config, source, out } = context;
  if (!source.described) return null;
  const priorityOf = priority(config.seed);
  const { below } = clusters!.sample;
  const kept = keepTexts(out);
  try {
    const described = await wordsOf(context, {
      ...aboutClusters(labelled!.found, labelled!.tree),
      layout,
      texts: rowTexts(source.described.read(), source.described.name),
      labels: rowSlices(out.path, layout.rows),
      each(row, text) {
        if (priorityOf(row) < below) kept.add(text);
      },
    });
    kept.finish();
    return described;
  } catch (error) {
    kept.abort();
    throw error;
  }
}

/** What clusters of the run that is updated are called. */
const namesBefore = (update: UpdateRequest): Map<number, Name> =>
  savedNames(readBase(update, (at) => readSavedClusters(runFiles(at, recordedHashes(at)))));
