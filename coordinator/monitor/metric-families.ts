import { Counter, Gauge, type Metric, type Registry } from 'prom-client';
import type { Histogram } from './counters.ts';

export type Row = [labels: Record<string, string>, value: number];
type Kind = 'gauge' | 'counter';

/** How a registry's metrics are made here: each is read at the moment of a scrape. */
export type Families = ReturnType<typeof createFamilies>;

export function createFamilies(registry: Registry) {
  const registers = [registry];

  function add(
    kind: Kind,
    name: string,
    help: string,
    labelNames: string[],
    read: () => Iterable<Row>,
  ): void {
    const common = { name: `dpmesh_${name}`, help, labelNames, registers };
    if (kind === 'gauge')
      new Gauge({
        ...common,
        collect() {
          this.reset();
          // Without labels there would be a 0 where nothing is known.
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
  /** One number; null: there is none yet. */
  const one = (kind: Kind, name: string, help: string, read: () => number | null) =>
    add(kind, name, help, [], () => {
      const value = read();
      return value === null ? [] : [[{}, value]];
    });
  const each = <K extends string>(
    kind: Kind,
    name: string,
    help: string,
    label: string,
    read: () => Iterable<readonly [K, number]>,
  ) =>
    add(kind, name, help, [label], () =>
      Array.from(read(), ([key, value]): Row => [{ [label]: key }, value]),
    );
  /** prom-client's own histograms are fed value by value; this one is read where it was counted. */
  function histogram(name: string, help: string, read: () => [Record<string, string>, Histogram][]): void {
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
  return { add, one, each, histogram };
}

/** To the microsecond: more digits are noise, and bytes. */
export const round = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
