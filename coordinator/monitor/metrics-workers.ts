import { DEPARTURES } from '../../view/events.ts';
import type { MemberView } from '../scheduler/registry.ts';
import type { Tallies } from './counters.ts';
import { type Families, type Row, round } from './metric-families.ts';
import type { Measured } from './metrics.ts';

/** With more workers than this, a worker's tasks are added up, so that the answer stays below a megabyte. */
const MOST_WITH_TASKS = 200;
/** A busy share is of this long at least, ms: a second scraper right behind the first sees the same. */
const SHORTEST_MS = 500;

/** Metrics of who computes, and of what comes and goes between. */
export function addWorkerMetrics({ add, one, each }: Families, measured: Measured): void {
  const { tallies, server, now = () => performance.now() } = measured;
  const present = () => server.members().filter(({ state }) => state !== 'gone');
  add(
    'counter',
    'worker_task_seconds_total',
    `Seconds of computing by worker and task; task="all" for all together where there are more than ${MOST_WITH_TASKS} workers.`,
    ['worker', 'task'],
    () => {
      const all = [...tallies.workers];
      if (all.length > MOST_WITH_TASKS)
        return all.map(([worker, tasks]): Row => [{ worker, task: 'all' }, round(total(tasks))]);
      return all.flatMap(([worker, tasks]) =>
        Array.from(tasks, ([task, seconds]): Row => [{ worker, task }, round(seconds)]),
      );
    },
  );
  const busy = busyShares(tallies, now);
  each(
    'gauge',
    'worker_busy_ratio',
    'Share of the time since the scrape before in which the worker computed, 0 to 1; in the first one since the run began.',
    'worker',
    () => {
      const shares = busy();
      return present().map(({ label }) => [label, round(shares(label))] as const);
    },
  );
  each('gauge', 'worker_memory_bytes', 'Resident memory of the worker.', 'worker', () =>
    present().flatMap(({ label, memory }) => (memory ? [[label, memory] as const] : [])),
  );
  add(
    'gauge',
    'worker_info',
    'Always 1; where the worker is and what computes there; gpu is empty for the processor.',
    ['worker', 'host', 'backend', 'gpu'],
    () =>
      present().map(
        ({ label, host, backend, gpu }): Row => [
          { worker: label, host: short(host), backend: short(backend), gpu: short(gpu ?? '') },
          1,
        ],
      ),
  );
  const ofGpus = (
    name: string,
    help: string,
    read: (memory: NonNullable<MemberView['gpuMemory']>) => number,
  ) =>
    each('gauge', name, help, 'worker', () =>
      present().flatMap(({ label, gpuMemory }) => (gpuMemory ? [[label, read(gpuMemory)] as const] : [])),
    );
  ofGpus('worker_gpu_memory_bytes', 'Memory of the GPU that the worker has taken.', ({ used }) => used);
  ofGpus(
    'worker_gpu_memory_limit_bytes',
    'Memory of the GPU that the worker may take.',
    ({ limit }) => limit,
  );
  each(
    'gauge',
    'workers',
    'Workers that are here, that fell silent, and that are gone and were not replaced.',
    'state',
    () => {
      const counts = { up: 0, silent: 0, gone: 0 };
      for (const { state } of server.members()) counts[state]++;
      return Object.entries(counts);
    },
  );
  each(
    'counter',
    'worker_joins_total',
    'Times that the worker has joined; more than 1: it came back, or was replaced.',
    'worker',
    () => server.members().map(({ label, joins }) => [label, joins] as const),
  );
  each('counter', 'worker_departures_total', 'Workers that left, by how.', 'reason', () =>
    DEPARTURES.map((reason) => [reason, tallies.departures[reason]] as const),
  );

  one(
    'counter',
    'units_redealt_total',
    'Units that were dealt again, as their worker had left.',
    () => server.counts().unitsReassigned,
  );
  one(
    'counter',
    'units_raced_total',
    'Units of slow workers that were given to idle ones too.',
    () => server.counts().unitsRaced,
  );
  each('counter', 'results_dropped_total', 'Results that did not count, by why.', 'reason', () => {
    const counts = server.counts();
    return [
      ['late', counts.resultsLate],
      ['not_asked_for', counts.resultsNotAskedFor],
      ['wrong_shape', counts.resultsWrongShape],
      ['another_term', counts.resultsOfAnotherTerm],
    ];
  });
  each('counter', 'refused_messages_total', 'Messages that were refused, by why.', 'reason', () => {
    const counts = server.counts();
    return [
      ['malformed', counts.messagesMalformed],
      ['ignored', counts.messagesIgnored + counts.hellosIgnored],
      ['hello', counts.hellosRefused],
      ['fetch', counts.fetchesRefused],
    ];
  });
  each(
    'counter',
    'refused_connections_total',
    'Connections that came to nothing, by why (0 without keys).',
    'reason',
    () => {
      const found = server.refused();
      return CONNECTIONS.map((reason) => [reason.replaceAll('-', '_'), found[reason] ?? 0] as const);
    },
  );
  one(
    'counter',
    'received_bytes_total',
    'Bytes of messages from workers, without what ZeroMQ adds.',
    () => server.traffic().received,
  );
  one(
    'counter',
    'sent_bytes_total',
    'Bytes of messages to workers, without what ZeroMQ adds.',
    () => server.traffic().sent,
  );
}

const CONNECTIONS = ['unknown-key', 'no-key', 'wrong-server-key', 'broken-off', 'not-zeromq'] as const;

/** What workers say of themselves is cut to this. */
const short = (text: string) => text.slice(0, 100);
function total(tasks: Map<string, number>): number {
  let sum = 0;
  for (const seconds of tasks.values()) sum += seconds;
  return sum;
}

/** Each worker's share of the time since the last call that counted. */
function busyShares(tallies: Tallies, now: () => number): () => (label: string) => number {
  let since = tallies.begun;
  let seconds = new Map<string, number>();
  let shares = new Map<string, number>();
  return () => {
    const took = (now() - since) / 1000;
    if (took * 1000 >= SHORTEST_MS || !shares.size) {
      const next = new Map(Array.from(tallies.workers, ([label, tasks]) => [label, total(tasks)]));
      shares = new Map(
        Array.from(next, ([label, spent]) => [
          label,
          Math.min(1, Math.max(0, spent - (seconds.get(label) ?? 0)) / Math.max(took, 1e-3)),
        ]),
      );
      [since, seconds] = [now(), next];
    }
    return (label) => shares.get(label) ?? 0;
  };
}
