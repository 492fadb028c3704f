import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type BindAddress, urlOf } from '../base/address.ts';
import { coalesce, isOwnHost, listen, listenError, SECURITY_HEADERS } from '../base/http.ts';
import type { WorkUnit } from '../proto/messages.ts';
import type { Backend } from './compute/backends/backend.ts';

/** A worker's counters, for its own /metrics. */
export class Meter {
  /** Seconds of compute by task. */
  readonly seconds: Record<string, number> = {};
  units = 0;
  rowsRead = 0;
  /** It has joined a coordinator. */
  joined = false;

  /** Adds finished units, the seconds of each task, and the rows read for them. */
  count(done: WorkUnit[][], seconds: Record<string, number>, rowsRead: number): void {
    this.rowsRead += rowsRead;
    for (const units of done) this.units += units.length;
    for (const [task, spent] of Object.entries(seconds))
      this.seconds[task] = (this.seconds[task] ?? 0) + spent;
  }
}

interface MeasuredWorker {
  meter: Meter;
  backend: Backend;
  name: string;
  version: string;
}

/**
 * Opens a worker's own HTTP port with /metrics and /healthz. The coordinator's metrics have the same numbers for all workers,
 * so these have names of their own, lest they are added up twice. UserError if the address cannot be bound.
 */
export async function openWorkerHttp({ host, port: asked }: BindAddress, worker: MeasuredWorker) {
  const address = { host, port: asked };
  const { server, onRequest, port } = await listen(address).catch((error: NodeJS.ErrnoException) => {
    throw listenError('--http', address, error);
  });
  const bound = { host, port };
  onRequest(responderOf(bound, worker));
  server.unref();
  return {
    url: urlOf(bound),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function responderOf(bound: BindAddress, worker: MeasuredWorker): RequestListener {
  // Loaded at the first request.
  let registry: ReturnType<typeof registryOf> | null = null;
  const metrics = coalesce(async () => (await (registry ??= registryOf(worker))).metrics());
  const answer = (
    response: ServerResponse,
    code: number,
    text: string | Buffer | null,
    type = 'text/plain; charset=utf-8',
  ) => response.writeHead(code, { ...SECURITY_HEADERS, 'content-type': type }).end(text);
  async function respond({ method, url, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = url?.split('?')[0];
    if (!isOwnHost(headers.host, bound))
      answer(response, 421, 'this server does not answer to this host name\n');
    else if (method !== 'GET') answer(response, 405, 'only GET is allowed\n');
    else if (path === '/metrics') {
      const { contentType } = await (registry ??= registryOf(worker));
      answer(response, 200, await metrics(), contentType);
    } else if (path === '/healthz') answer(response, 200, worker.meter.joined ? 'joined\n' : 'connecting\n');
    else answer(response, 404, 'not found; this server has /metrics and /healthz\n');
  }
  return (request, response) => void respond(request, response);
}

async function registryOf({ meter, backend, name, version }: MeasuredWorker) {
  const { Counter, Gauge, Registry } = await import('prom-client');
  const { addProcessMetrics } = await import('../base/process-metrics.ts');
  const registry = new Registry();
  const registers = [registry];
  if (name) registry.setDefaultLabels({ worker: name });
  addProcessMetrics(registry);
  const metric = <M extends typeof Counter | typeof Gauge>(
    Kind: M,
    name: string,
    help: string,
    collect: (metric: InstanceType<M>) => void,
    labelNames: string[] = [],
  ) =>
    new Kind({
      ...{ name: `dpmesh_local_${name}`, help, labelNames, registers },
      collect() {
        this.reset();
        collect(this as InstanceType<M>);
      },
    });
  metric(Counter, 'units_total', 'Units (mostly shards) computed by this worker.', (all) =>
    all.inc(meter.units),
  );
  metric(Counter, 'rows_read_total', 'Rows read by this worker.', (all) => all.inc(meter.rowsRead));
  const addSeconds = (all: InstanceType<typeof Counter>) => {
    for (const [task, seconds] of Object.entries(meter.seconds)) all.inc({ task }, seconds);
  };
  metric(Counter, 'task_seconds_total', 'Seconds spent computing, by task.', addSeconds, ['task']);
  metric(Gauge, 'joined', '1 if the worker has joined a coordinator.', (now) =>
    now.set(Number(meter.joined)),
  );
  const { device, identity } = backend;
  const about = 'Always 1. Labels: version of dpmesh, numeric identity, and the GPU, if it computes on one.';
  const labels = { version, identity, gpu: device?.name ?? '' };
  metric(Gauge, 'build_info', about, (one) => one.set(labels, 1), Object.keys(labels));
  if (device?.memory)
    metric(Gauge, 'gpu_memory_bytes', 'GPU memory in use, bytes.', (now) =>
      now.set(device.memory?.()?.used ?? 0),
    );
  return { contentType: registry.contentType, metrics: () => registry.metrics() };
}
