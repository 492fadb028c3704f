import type { GraphState, Sample } from '../../../model/state.ts';
import { publishTransform } from '../publish.ts';
import type { Run } from '../run-context.ts';
import { largerSample } from '../sample.ts';
import { FEWEST_ROWS } from './merge-step.ts';
import { chooseResolution } from './resolution.ts';
import type { GraphSource, SampleGraph } from './sample-graph.ts';

/** Fewer rows of the sample for each cluster, and its neighbours' would be those of others. */
const ROWS_PER_CLUSTER = 50;
/** Of a sample that cannot grow: of clusters with as many rows on average, some have enough to stay. */
const FEWEST_ON_AVERAGE = FEWEST_ROWS / 2;
/** Of one that can. */
const MORE_THAN_ONE = 2;
/** Of a larger share of the rows that are copies of others, those who brought them may not know. */
const FEW_COPIES = 0.1;

/**
 * The sample and the resolution at which partitions of its graph are stable. Where there are so many clusters that they would have
 * few rows, the sample is doubled, unless its size was given. The single cluster that a run begins with has all rows.
 */
export async function graphStart(
  run: Run,
  graphs: GraphSource,
): Promise<{ sample: Sample; graph: GraphState }> {
  let sample = run.sample;
  for (;;) {
    const graph = await graphs.of(sample);
    const mayGrow = run.config.sample === null && sample.below < 1;
    // With rows for two clusters at least.
    const chosen =
      graph.n < 2 * FEWEST_ROWS
        ? null
        : await chooseResolution(run, graph, mayGrow ? MORE_THAN_ONE : FEWEST_ON_AVERAGE);
    const wanted = ROWS_PER_CLUSTER * (chosen?.k ?? 1);
    const larger = mayGrow ? await largerSample(run.layout, sample, wanted) : sample;
    if (larger === sample) {
      if (graph.copies > FEW_COPIES * graph.n)
        run.emit({ type: 'warning', message: aboutCopies(graph, run) });
      return {
        sample: { ...sample, rows: graph.n },
        graph: {
          resolution: chosen?.resolution ?? 1,
          stability: chosen?.mean ?? null,
          range: chosen?.range ?? null,
          labels: new Int32Array(graph.n),
        },
      };
    }
    sample = larger;
    publishTransform(run, sample.below);
  }
}

const aboutCopies = ({ copies, n }: SampleGraph, { config }: Run): string =>
  `${config.data}: ${copies.toLocaleString('en')} of the ${n.toLocaleString('en')} rows in the sample are the same as another one, as rows of zeros are: many copies of a row are a cluster; if it should be none, leave copies out`;
