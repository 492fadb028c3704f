import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { addProcessMetrics } from '../../base/process-metrics.ts';
import type { OutputColumns } from './batches.ts';

/** What a server of models tells Prometheus. */

/** Of a model, the rows of which the share of far ones is known. */
const RECENT_ROWS = 4096;
/** Rows that are farther from the centre than this share of their cluster were: of rows like those of the run, one in a hundred. */
const FAR = 0.99;

export type ServeMetrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  addProcessMetrics(registry);
  const about = (name: string, help: string) => ({
    ...{ name: `dpmesh_serve_${name}`, help, registers: [registry] },
  });
  const ofModel = { labelNames: ['model'] as const };
  const requests = new Counter({
    ...about('requests_total', 'Requests for labels, by status code.'),
    labelNames: ['model', 'code'],
  });
  const rows = new Counter({ ...about('rows_total', 'Rows that were labelled.'), ...ofModel });
  const seconds = new Histogram({
    ...about('request_seconds', 'From the last byte of a request for labels to its answer.'),
    ...{ ...ofModel, buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5] },
  });
  const batchRows = new Histogram({
    ...about('batch_rows', 'Rows that were labelled at once.'),
    buckets: [1, 16, 64, 256, 512, 1024, 2048],
  });
  const waiting = new Map<string, () => number>();
  new Gauge({
    ...about('queue_rows', 'Rows that wait.'),
    collect() {
      this.set([...waiting.values()].reduce((sum, count) => sum + count(), 0));
    },
  });
  const loadedAt = new Gauge({
    ...about('model_loaded_timestamp_seconds', 'Unix time at which the model was loaded, in seconds.'),
    ...ofModel,
  });
  const failures = new Counter({
    ...about('load_failures_total', 'Newer models that could not be loaded.'),
    ...ofModel,
  });
  const farShare = new Gauge({
    ...about(
      'far_rows_share',
      'Share of the last rows with an outlier_score above 0.99: 0.01 where rows are like those of the run.',
    ),
    ...ofModel,
  });
  const recent = new Map<string, ReturnType<typeof recentShare>>();

  return {
    registry,
    /** Those of a model. */
    of: (model: string) => ({
      /** A batch was labelled. */
      labelled(count: number, { outlier_score: scores }: OutputColumns): void {
        rows.inc({ model }, count);
        batchRows.observe(count);
        if (scores) farShare.set({ model }, recent.get(model)!.add(scores, FAR));
      },
      /** It is a new one, of which so many rows wait. */
      loaded(rowsWaiting: () => number): void {
        waiting.set(model, rowsWaiting);
        recent.set(model, recentShare(RECENT_ROWS));
        failures.inc({ model }, 0);
        loadedAt.set({ model }, Date.now() / 1000);
      },
      failed: () => failures.inc({ model }),
      answered: (code: number) => requests.inc({ model, code }),
      took: (time: number) => seconds.observe({ model }, time),
    }),
  };
}

/** Which of the last values are above a limit. */
function recentShare(most: number) {
  const above = new Uint8Array(most);
  let [count, sum] = [0, 0];
  return {
    /** The share, with these ones. */
    add(values: ArrayLike<number>, limit: number): number {
      for (let i = 0; i < values.length; i++, count++) {
        const at = count % most;
        const is = Number(values[i] > limit);
        sum += is - above[at];
        above[at] = is;
      }
      return sum / Math.min(count, most);
    },
  };
}
