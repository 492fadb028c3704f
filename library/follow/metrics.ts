import { basename } from 'node:path';
import { Counter, Gauge, Registry } from 'prom-client';
import { parseBindAddress, urlOf } from '../../base/address.ts';
import { isOwnHost, listen, listenError } from '../../base/http.ts';
import { addProcessMetrics } from '../../base/process-metrics.ts';
import type { FollowedBatch } from './options.ts';

/** What a follow tells Prometheus, on one port for as long as it goes on. */

/** Those whose names end in `_total` count what this process has done, the others say how it is. */
const HELP = {
  parts_waiting: 'Parts that have come and were not taken yet.',
  bytes_waiting: 'Their size, in bytes.',
  rows_waiting: 'Rows that have labels, and wait for the next update (--lazy).',
  parts_total: 'Parts whose rows were labelled.',
  rows_total: 'Rows that were labelled.',
  updates_total: 'Updates of the run.',
  clusters: 'Number of clusters, K.',
  born_total: 'Clusters that were new in an update.',
  gone_total: 'Clusters that were there no longer after an update.',
  alarms_total: 'Batches whose rows were unlike those before.',
  batch_timestamp_seconds: 'Unix time at which the last batch was done, in seconds.',
  batch_seconds: 'What it took, in seconds.',
};

export type FollowMetrics = Awaited<ReturnType<typeof openMetrics>>;

/** Serves `/metrics`. UserError if the address is not valid or not free. */
export async function openMetrics(address: string, folder: string) {
  const registry = new Registry();
  registry.setDefaultLabels({ run: basename(folder) });
  addProcessMetrics(registry);
  const metrics = Object.fromEntries(
    Object.entries(HELP).map(([name, help]) => {
      const about = { name: `dpmesh_follow_${name}`, help, registers: [registry] };
      return [name, name.endsWith('_total') ? new Counter(about) : new Gauge(about)];
    }),
  ) as Record<keyof typeof HELP, Counter & Gauge>;
  const requested = parseBindAddress('--http', address);
  const { server, onRequest, port } = await listen(requested).catch((error: NodeJS.ErrnoException) => {
    throw listenError('--http', requested, error);
  });
  const bound = { ...requested, port };
  onRequest(async ({ headers, method, url }, response) => {
    const isThere = url === '/metrics' && (method === 'GET' || method === 'HEAD');
    if (!isOwnHost(headers.host, bound)) response.writeHead(403).end();
    else if (!isThere) response.writeHead(404).end('see /metrics\n');
    else response.setHeader('content-type', registry.contentType).end(await registry.metrics());
  });
  // It does not keep the process alive.
  server.unref();
  return {
    url: `${urlOf(bound)}metrics`,
    /** Parts that are waiting. */
    waiting(parts: readonly { bytes: number }[]): void {
      metrics.parts_waiting.set(parts.length);
      metrics.bytes_waiting.set(parts.reduce((sum, { bytes }) => sum + bytes, 0));
    },
    /** A batch is done, after which so many rows wait for an update. */
    done({ parts, rows, trained, k, born, gone, alarm, seconds }: FollowedBatch, rowsWaiting: number): void {
      metrics.parts_total.inc(parts.length);
      metrics.rows_total.inc(rows);
      metrics.updates_total.inc(Number(trained));
      metrics.born_total.inc(born.length);
      metrics.gone_total.inc(gone.length);
      metrics.alarms_total.inc(Number(alarm !== null));
      metrics.clusters.set(k);
      metrics.rows_waiting.set(rowsWaiting);
      metrics.batch_timestamp_seconds.set(Date.now() / 1000);
      metrics.batch_seconds.set(seconds);
    },
    close(): void {
      server.close();
      server.closeAllConnections();
    },
  };
}
