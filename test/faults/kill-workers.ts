import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventsOf, ofType } from '../../bench/processes.ts';
import { generator } from '../../model/random.ts';
import type { OptionValues } from '../../run/config.ts';
import type { Task } from '../../tasks/table.ts';

const dist = (path: string) => import(new URL(`../../dist/${path}`, import.meta.url).href);

/** Worker processes that this process has started, oldest first. Events do not name them before the moments round has ended. */
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

/** The kinds of tasks of an ordinary run. */
export const TASK_KINDS: Task['task'][] = [
  ...(['moments', 'seed-distances', 'cluster-steps', 'statistics', 'sub-steps'] as const),
  ...(['cell-sums', 'cell-scatter', 'cell-histogram', 'cell-fourth-moments', 'full-pass'] as const),
];

/** Those of the graph likelihood that are not among these: each is in a few rounds of a run. */
export const GRAPH_KINDS: Task['task'][] = [
  ...(['sample-covariance', 'sample-rows', 'neighbours', 'null-partitions', 'partitions'] as const),
  ...(['start-partition', 'memberships'] as const),
];

/** Those, and the statistics of clusters that are flat or many. */
export const FURTHER_KINDS: Task['task'][] = [
  ...(['column-histogram', 'fenced-moments', 'sample-labels', 'pivoted-statistics'] as const),
];

/** For a worker that can be killed, ms. */
const PATIENCE_MS = 10_000;

export interface KillOptions {
  /** The kinds of tasks to hit. */
  kinds: readonly Task['task'][];
  seed: number;
  /** Maximum number of kills, exceeded only while some kind of task has not been hit. */
  kills: number;
  /** Minimum time between two kills, ms. */
  pause: number;
}

/**
 * Runs the built `dpmesh train` in this process and kills workers at seeded points: in a round, at a delay after its start.
 * Kinds of tasks that no kill has hit yet have priority. Returns the number of kills, also by task in progress.
 */
export async function trainWithKills(
  out: string,
  { workers: count, ...options }: OptionValues & { workers: number },
  { kinds, seed, kills, pause }: KillOptions,
) {
  const { startLocalWorkers }: typeof import('../../worker/host/local-workers.ts') = await dist(
    'worker/host/local-workers.js',
  );
  const { createEarlyFinish }: typeof import('../../coordinator/fit/stage.ts') =
    await dist('coordinator/fit/stage.js');
  const { session }: typeof import('../../library/session.ts') = await dist('library/session.js');
  const { resolveConfig }: typeof import('../../run/config.ts') = await dist('run/config.js');
  const rng = generator(BigInt(seed), 'killing');
  const killed = new Set<number>();
  const config = await resolveConfig(options);
  const workers = startLocalWorkers({
    specs: Array.from({ length: count }, (_, i) => ({ name: `local/${i}` })),
    ...{ backend: 'wasm', why: 'asked for', gpu: 0, requireGpu: false },
    dataRoots: [dirname(resolve(config.data))],
    log: console.error,
  });
  const notHit = new Set<string>(kinds);
  const isNotHit = (task: string) => {
    if (notHit.has(task))
      for (const { tasks } of ofType(eventsOf(out), 'worker-gone'))
        for (const hit of tasks) notHit.delete(hit);
    return notHit.has(task);
  };
  /** Duration of the last round with these tasks, ms. */
  const durations = new Map<string, number>();
  let next = 0;

  /** Workers that have joined: to kill another one would test nothing. Before the first event any. */
  const living = () => {
    const joined = ofType(eventsOf(out), 'worker').map(({ pid }) => pid);
    return workerProcesses(process.pid).filter(
      (pid) => !killed.has(pid) && (!joined.length || joined.includes(pid)),
    );
  };
  /** Kills a worker; if `delay` is given, the one that has been there longest, which has rows, after so many ms of being stopped. */
  const kill = (delay?: number) => {
    const there = living();
    if (!there.length) return;
    const pid = there[delay === undefined ? rng.below(there.length) : 0];
    killed.add(pid);
    const signal = (name: 'SIGSTOP' | 'SIGKILL') => {
      try {
        process.kill(pid, name);
      } catch {
        // It has already ended.
      }
    };
    if (delay === undefined) return signal('SIGKILL');
    signal('SIGSTOP');
    setTimeout(signal, delay, 'SIGKILL');
  };
  const ignore = () => {};
  await session(config, {
    ...{ out, force: false, mixed: false, sharedFiles: true, checkpointEvery: 30, heartbeatTimeout: 5 },
    earlyFinish: createEarlyFinish(),
    signal: new AbortController().signal,
    listener: { event: ignore, log: ignore, result: ignore, lingers: ignore },
    http: null,
    linger: 0,
    report: false,
    ...workers,
    start(server) {
      const { dispatcher } = server;
      const round = dispatcher.round.bind(dispatcher);
      dispatcher.round = async (spec) => {
        const name = spec.tasks.map(({ task }) => task).join();
        const isNew = spec.tasks.some(({ task }) => isNotHit(task));
        // On a busy machine those that take the place of killed ones may not be there yet, and some tasks come once.
        for (let waited = 0; isNew && !living().length && waited < PATIENCE_MS; waited += 20) await sleep(20);
        const now = performance.now();
        // Before it gets the task, so that it cannot end that before it is killed.
        if (isNew) kill(20);
        else if (killed.size < kills && now >= next && rng.below(4) === 0) {
          next = now + pause;
          setTimeout(kill, rng.uniform() * (durations.get(name) ?? 1));
        }
        const results = await round(spec);
        durations.set(name, performance.now() - now);
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
