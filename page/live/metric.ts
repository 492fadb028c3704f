import { Counter, Gauge, type Metric, type Registry } from 'prom-client';

/** Metrics of Prometheus whose values are read when they are scraped. */

/** The value of a metric without labels (null: not known yet), or the label values and value of each of its time series. */
export type MetricReading =
  | number
  | null
  | readonly (readonly [labels: string | readonly string[], value: number])[];

/** Counts of observed values by bucket. */
export interface Histogram {
  /** Upper bounds of the buckets, inclusive; `counts` has one more for larger values. */
  bounds: readonly number[];
  counts: Float64Array;
  sum: number;
  count: number;
}

/**
 * Adds a metric that is read when it is scraped. `key`: its name without prefix, with its labels, such as `workers{state}`. If it ends in `_total`,
 * it is a counter, else a gauge.
 */
export function addMetric(registry: Registry, key: string, help: string, read: () => MetricReading): void {
  const [name, labels = ''] = key.replace('}', '').split('{');
  const labelNames = labels.split(',').filter(Boolean);
  const common = { name: `dpmesh_${name}`, help, labelNames, registers: [registry] };
  const series = (): [Record<string, string>, number][] => {
    const found = read();
    if (found == null) return [];
    if (typeof found === 'number') return [[{}, found]];
    return Array.from(found, ([values, value]) => [
      Object.fromEntries([values].flat().map((text, i) => [labelNames[i], text])),
      value,
    ]);
  };
  if (name.endsWith('_total'))
    new Counter({
      ...common,
      collect() {
        this.reset();
        for (const [of, value] of series()) this.inc(of, value);
      },
    });
  else
    new Gauge({
      ...common,
      collect() {
        this.reset();
        // Without labels, `reset` leaves a 0 even if the value is unknown.
        if (!labelNames.length) this.remove();
        for (const [of, value] of series()) this.set(of, value);
      },
    });
}

/** prom-client's histograms record values themselves; this one exports a histogram that was counted elsewhere. */
export function addHistogram(
  registry: Registry,
  name: string,
  help: string,
  read: () => [Record<string, string>, Histogram][],
): void {
  const full = `dpmesh_${name}`;
  const get = async () => ({
    ...{ name: full, help, type: 'histogram', aggregator: 'sum' },
    values: read().flatMap(([labels, { bounds, counts, sum, count }]) => {
      let below = 0;
      return [
        ...[...bounds, '+Inf'].map((le, i) => ({
          labels: { ...labels, le },
          value: (below += counts[i]),
          metricName: `${full}_bucket`,
        })),
        { labels, value: round(sum), metricName: `${full}_sum` },
        { labels, value: count, metricName: `${full}_count` },
      ];
    }),
  });
  registry.registerMetric({ name: full, help, get } as unknown as Metric);
}

/** Rounds to microseconds: further digits are noise and make the response longer. */
export const round = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
