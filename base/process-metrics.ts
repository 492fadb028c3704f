import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges of prom-client that have the suffix `_total`, which is reserved for counters. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** Adds prom-client's metrics of this process (`process_…`, `nodejs_…`), except the misnamed ones. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
