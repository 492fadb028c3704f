import type { GraphState, Sample } from '../../../model/state.ts';
import { publishTransform } from '../publish.ts';
import type { Run } from '../run-context.ts';
import { largerSample } from '../sample.ts';
import { FEWEST_ROWS } from './merge-step.ts';
import { chooseResolution } from './resolution.ts';
import type { GraphSource } from './sample-graph.ts';

/** Fewer rows of the sample for each cluster, and its neighbours' would be those of others. */
const ROWS_PER_CLUSTER = 50;

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
    // With rows for two clusters at least.
    const chosen = graph.n < 2 * FEWEST_ROWS ? null : await chooseResolution(run, graph);
    const wanted = ROWS_PER_CLUSTER * (chosen?.k ?? 1);
    const larger = run.config.sample === null ? await largerSample(run.layout, sample, wanted) : sample;
    if (larger === sample)
      return {
        sample: { ...sample, rows: graph.n },
        graph: {
          resolution: chosen?.resolution ?? 1,
          stability: chosen?.mean ?? null,
          range: chosen?.range ?? null,
          labels: new Int32Array(graph.n),
        },
      };
    sample = larger;
    publishTransform(run, sample.below);
  }
}
