import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { eventsOf, ofType } from '../../bench/run-files.ts';
import type { OptionValues } from '../../coordinator/config.ts';
import { generator } from '../../model/random.ts';
import type { Task } from '../../proto/tasks.ts';

const dist = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href);

/** Worker processes that this one has started. Before the first reading is over no event names them. */
function workerProcesses(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.map(Number).filter((child) => {
    try {
      return readFileSync(`/proc/${child}/cmdline`, 'latin1').includes('/bundled/worker.js');
    } catch {
      return false;
    }
  });
}

/** Every kind of task that a run has. */
export const KINDS: Task['task'][] = [
  ...(['moments', 'seed-distances', 'cluster-steps', 'statistics', 'sub-steps'] as const),
  ...(['cell-sums', 'cell-scatter', 'cell-histogram', 'full-pass'] as const),
];

export interface Killing {
  seed: number;
  /** At the most; more than this only while a kind of task has not been hit. */
  kills: number;
  /** Between two of them at least, ms. */
  pause: number;
}

/**
 * `dpmesh train` in this process (as built), whose workers are killed at seeded points: in which round, and how long after it was
 * dealt. A kind of task that no kill has hit yet goes first. Returns how many were killed while they were at work on what.
 */
export async function trainKilled(
  out: string,
  { workers: count, ...options }: OptionValues & { workers: number },
  { seed, kills, pause }: Killing,
) {
  const { startLocalWorkers }: typeof import('../../worker/host/local-workers.ts') = await dist(
    'worker/host/local-workers.js',
  );
  const { session }: typeof import('../../coordinator/session.ts') = await dist('coordinator/session.js');
  const { resolveConfig }: typeof import('../../coordinator/config.ts') = await dist('coordinator/config.js');
  const rng = generator(BigInt(seed), 'killing');
  const killed = new Set<number>();
  const config = await resolveConfig(options);
  const workers = startLocalWorkers({
    specs: Array.from({ length: count }, (_, i) => ({ name: `local/${i}` })),
    ...{ backend: 'wasm', why: 'asked for', gpu: 0, requireGpu: false },
    dataRoot: dirname(resolve(config.data)),
    log: console.error,
  });
  const missed = new Set<string>(KINDS);
  const isMissed = (task: string) => {
    if (missed.has(task))
      for (const { tasks } of ofType(eventsOf(out), 'worker-gone'))
        for (const hit of tasks) missed.delete(hit);
    return missed.has(task);
  };
  /** How long rounds of a kind take, ms. */
  const lasts = new Map<string, number>();
  let next = 0;

  const kill = () => {
    const joined = ofType(eventsOf(out), 'worker').map(({ pid }) => pid);
    // One that has not joined yet would be no loss.
    const living = workerProcesses(process.pid).filter(
      (pid) => !killed.has(pid) && (!joined.length || joined.includes(pid)),
    );
    if (!living.length) return;
    const pid = living[rng.below(living.length)];
    killed.add(pid);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  const nothing = () => {};
  await session(config, {
    ...{ out, force: false, mixed: false, sharedFiles: true, checkpointEvery: 30, heartbeatTimeout: 5 },
    signal: new AbortController().signal,
    listener: { event: nothing, log: nothing, result: nothing },
    http: null,
    linger: 0,
    report: false,
    ...workers,
    start(server) {
      const { dispatcher } = server;
      const round = dispatcher.round.bind(dispatcher);
      dispatcher.round = async (spec) => {
        const name = spec.tasks.map(({ task }) => task).join();
        const isNew = spec.tasks.some(({ task }) => isMissed(task));
        const now = performance.now();
        if (isNew || (killed.size < kills && now >= next && rng.below(4) === 0)) {
          next = now + pause;
          setTimeout(kill, (isNew ? 0.5 : 1) * rng.uniform() * (lasts.get(name) ?? 1));
        }
        const results = await round(spec);
        lasts.set(name, performance.now() - now);
        return results;
      };
      return workers.start(server);
    },
  });
  const gone = ofType(eventsOf(out), 'worker-gone');
  const tasks: Record<string, number> = {};
  for (const task of gone.flatMap(({ tasks }) => tasks)) tasks[task] = (tasks[task] ?? 0) + 1;
  return { killed: gone.filter(({ reason }) => reason.includes('SIGKILL')).length, tasks };
}
