import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import { type BindAddress, urlOf } from '../base/address.ts';
import { isOwnHost, listen, listenError, SECURITY_HEADERS } from '../base/http.ts';
import type { Backend } from './compute/backends/backend.ts';
import type { Meter } from './meter.ts';

export interface WorkerHttp {
  url: string;
  close(): void;
}

/**
 * A worker's own port: /metrics and /healthz. The coordinator's metrics have the same figures of all workers, so these
 * have names of their own, and nobody adds them up twice. UserError where the address cannot be had.
 */
export async function openWorkerHttp(
  { host, port: asked }: BindAddress,
  about: { meter: Meter; backend: Backend; name: string; version: string },
): Promise<WorkerHttp> {
  const wanted = { host, port: asked };
  const { server, port } = await listen(wanted).catch((error: NodeJS.ErrnoException) => {
    throw listenError('--http', wanted, error);
  });
  const bound = { host, port };
  serve(server, bound, about);
  server.unref();
  return {
    url: urlOf(bound),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function serve(
  server: HttpServer,
  bound: BindAddress,
  about: { meter: Meter; backend: Backend; name: string; version: string },
): void {
  // Loaded when somebody asks.
  let registry: ReturnType<typeof registryOf> | null = null;
  const answer = (response: ServerResponse, code: number, text: string, type = 'text/plain; charset=utf-8') =>
    response.writeHead(code, { ...SECURITY_HEADERS, 'content-type': type }).end(text);
  async function respond({ method, url, headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = url?.split('?')[0];
    if (!isOwnHost(headers.host, bound)) answer(response, 421, 'not a name of this server\n');
    else if (method !== 'GET') answer(response, 405, 'only GET\n');
    else if (path === '/metrics') {
      const { contentType, metrics } = await (registry ??= registryOf(about));
      answer(response, 200, await metrics(), contentType);
    } else if (path === '/healthz') answer(response, 200, about.meter.joined ? 'joined\n' : 'connecting\n');
    else answer(response, 404, 'here are /metrics and /healthz\n');
  }
  server.on('request', (request, response) => void respond(request, response));
}

async function registryOf({
  meter,
  backend,
  name,
  version,
}: {
  meter: Meter;
  backend: Backend;
  name: string;
  version: string;
}) {
  const { Counter, Gauge, Registry } = await import('prom-client');
  const { addProcessMetrics } = await import('../base/process-metrics.ts');
  const registry = new Registry();
  const registers = [registry];
  if (name) registry.setDefaultLabels({ worker: name });
  addProcessMetrics(registry);
  new Gauge({
    name: 'dpmesh_local_build_info',
    help: 'Always 1; version of dpmesh, numeric identity, and the GPU that computes.',
    labelNames: ['version', 'identity', 'gpu'],
    registers,
  }).set({ version, identity: backend.identity, gpu: backend.device?.name ?? '' }, 1);
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `dpmesh_local_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  counter('units_total', 'Units (mostly shards) that this worker has computed.', () => meter.units);
  counter('rows_read_total', 'Rows that this worker has read.', () => meter.rowsRead);
  new Counter({
    name: 'dpmesh_local_task_seconds_total',
    help: 'Seconds of computing, by task.',
    labelNames: ['task'],
    registers,
    collect() {
      this.reset();
      for (const [task, seconds] of Object.entries(meter.seconds)) this.inc({ task }, seconds);
    },
  });
  new Gauge({
    name: 'dpmesh_local_joined',
    help: '1 if the worker has a coordinator.',
    registers,
    collect() {
      this.set(Number(meter.joined));
    },
  });
  if (backend.device?.memory)
    new Gauge({
      name: 'dpmesh_local_gpu_memory_bytes',
      help: 'Memory of the GPU that the worker has taken.',
      registers,
      collect() {
        this.set(backend.device?.memory?.()?.used ?? 0);
      },
    });
  return { contentType: registry.contentType, metrics: () => registry.metrics() };
}
