import { skewedColumns } from '../../data/logarithm.ts';
import { alikeColumns } from '../../model/description/contrast.ts';
import { evidenceForK } from '../../model/gaussian/evidence-for-k.ts';
import { diagonalOf } from '../../model/linalg.ts';
import { placesOf } from '../../model/order.ts';
import type { State } from '../../model/state.ts';
import { clusterIds } from '../../model/stream/stream.ts';
import { notesOn, type RunOutcome, uncountedWords } from '../../run/passes/notes.ts';
import type { Stability, Summary } from '../../run/summary.ts';
import { REPLICATES } from './graph/resolution.ts';
import type { Ports, RunState } from './run-state.ts';

/** The result of a run, in numbers and notes. `wordsError`: as of `SavedClusters`. */
export async function summaryOf(
  context: Ports<'layout' | 'out' | 'source' | 'spent' | 'trainer'>,
  state: RunState,
  wordsError: number,
): Promise<Summary> {
  const { layout, encoding, run, update } = state;
  const { found, silhouette, state: final, stream } = state.labelled!;
  const { counts, noise, outliers, table, order } = found;
  const { graph, steps, loss, epoch } = state.clusters!;
  const k = counts.filter((rows) => rows > 0).length;
  const { seconds, rounds, workers } = context.spent();
  const scores = table && (await context.trainer.scores(table));
  const ids = stream ? clusterIds(stream) : null;
  const labels = Array.from(placesOf(order), (place) => ids?.[place] ?? place);
  // Of the number of components, where some are joined.
  const evidence = graph || final.groups || final.background ? null : evidenceForK(steps, labels);
  const about = { k, silhouette, sizes: counts, ids, evidence, ...(await unfitColumns(context, state)) };
  return {
    k,
    nmi: scores?.nmi ?? null,
    ari: scores?.ari ?? null,
    acc: scores?.acc ?? null,
    silhouette,
    loss,
    epochs: epoch,
    ...{ rounds, workers },
    rows: layout.rows,
    ...{ outliers, noise },
    dim: context.layout.dim,
    seconds,
    out: context.out.path,
    notes: [...notesOfRun(state, about), ...uncountedWords(wordsError, (update?.layout ?? layout).rows / k)],
    replicates: null,
    ...(encoding && run!.config.alternations && { alternations: encoding.brought }),
    stability: stabilityOf(state.clusters!),
    evidence,
  };
}

function stabilityOf({ graph }: State): Stability | null {
  if (!graph?.range || graph.stability === null) return null;
  return { count: REPLICATES, k: [...graph.range], agreement: graph.stability };
}

/** The columns of the data that logarithms describe better, and those whose mean is alike in all clusters. */
async function unfitColumns(
  { source }: Ports<'source'>,
  { clusters, encoding, labelled }: RunState,
): Promise<Pick<RunOutcome, 'skewed' | 'alike'>> {
  if (clusters!.graph || encoding || source.images) return { skewed: [], alike: [] };
  const { T, columns } = labelled!.found;
  const weights = T.map(([rows]) => rows);
  // Where components are joined, clusters may differ by their shapes in columns in which their means are alike.
  const alike =
    labelled!.state.groups || T.length < 2
      ? []
      : alikeColumns(weights, columns.sums.slice(0, T.length), columns.squares);
  return { skewed: await skewedColumns(source), alike };
}

function notesOfRun(
  { run, clusters, ended, data, source, labelled }: RunState,
  outcome: Pick<RunOutcome, 'k' | 'silhouette' | 'sizes' | 'ids' | 'evidence' | 'skewed' | 'alike'>,
): string[] {
  const { min, max, mean, covariance } = data!.moments;
  const { config, d, unknown } = run!;
  const { mixture, sample, steps, graph = null } = clusters!;
  const { found, added, state: final, stream } = labelled!;
  const notes = notesOn({
    ...outcome,
    unexplained: found.unexplained,
    noise: found.noise,
    isMixed: Boolean(mixture.kinds),
    added,
    components: found.T.slice(0, final.mixture.k).filter(([rows]) => rows > 0).length,
    unknown,
    ...{ config, reason: ended!, d, rows: outcome.sizes.reduce((a, b) => a + b, 0), steps },
    // Copies among the rows of a stream have no file that says which they are.
    graph: graph && stream ? { ...graph, copies: null } : graph,
    sampled: graph?.copies?.of.length ?? sample.rows,
    columns: { mean, min, max, variance: diagonalOf(covariance, mean.length), names: source.names ?? null },
  });
  const alarm = stream?.alarm ?? null;
  return alarm === null ? notes : [alarm, ...notes];
}
