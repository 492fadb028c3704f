import { Counter, Gauge, type Metric, type Registry } from 'prom-client';
import type { Histogram } from './counters.ts';

/** The value of one time series of a metric. */
export type SeriesValue = [labels: Record<string, string>, value: number];
type Kind = 'gauge' | 'counter';

/** Adds metrics to a registry; each is read when it is scraped. Names get the prefix `dpmesh_`. */
export type Families = ReturnType<typeof createFamilies>;

export function createFamilies(registry: Registry) {
  const registers = [registry];

  function add(
    kind: Kind,
    name: string,
    help: string,
    labelNames: string[],
    read: () => Iterable<SeriesValue>,
  ): void {
    const common = { name: `dpmesh_${name}`, help, labelNames, registers };
    if (kind === 'gauge')
      new Gauge({
        ...common,
        collect() {
          this.reset();
          // Without labels, `reset` leaves a 0 even if the value is unknown.
          if (!labelNames.length) this.remove();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      });
    else
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.inc(labels, value);
        },
      });
  }
  /** A metric without labels; null: not known yet. */
  const addScalar = (kind: Kind, name: string, help: string, read: () => number | null) =>
    add(kind, name, help, [], () => {
      const value = read();
      return value === null ? [] : [[{}, value]];
    });
  /** A metric with one label. */
  const addByLabel = <K extends string>(
    kind: Kind,
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [K, number]>,
  ) =>
    add(kind, name, help, [label], () =>
      Array.from(read(), ([key, value]): SeriesValue => [{ [label]: key }, value]),
    );
  /** prom-client's histograms record values themselves; this one exports a histogram that was counted elsewhere. */
  function addHistogram(name: string, help: string, read: () => [Record<string, string>, Histogram][]): void {
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
  return { add, addScalar, addByLabel, addHistogram };
}

/** Rounds to microseconds: further digits are noise and make the response longer. */
export const round = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
