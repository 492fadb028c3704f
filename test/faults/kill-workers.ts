import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UnitDispatcher } from '../../coordinator/rounds/dispatcher.ts';
import { generator } from '../../model/random.ts';
import type { OptionValues } from '../../run/config.ts';
import type { Task } from '../../tasks/table.ts';
import { eventsOf, ofType } from '../bench/processes.ts';

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
/** Until the coordinator knows that a killed worker is gone, ms. The others are stopped meanwhile: well below the heartbeat timeout. */
const GONE_MS = 800;

/** Waits until the condition holds, or until the time is up. */
async function holds(condition: () => boolean, ms: number) {
  for (let waited = 0; !condition() && waited < ms; waited += 20) await sleep(20);
}

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
  const signal = (pid: number, name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL') => {
    if (name === 'SIGKILL') killed.add(pid);
    try {
      process.kill(pid, name);
    } catch {
      // It has already ended.
    }
  };
  const killAny = () => {
    const there = living();
    if (there.length) signal(there[rng.below(there.length)], 'SIGKILL');
  };
  /**
   * Begins a round while all workers are stopped, so that none can end its task before it is killed, and kills one after the other until
   * one had a task: some have none, as they rest or have not joined yet.
   */
  async function hit<T>(tasks: string[], round: () => Promise<T>): Promise<T> {
    const isHit = () => !tasks.some((task) => notHit.has(task));
    const there = living();
    for (const pid of there) signal(pid, 'SIGSTOP');
    const results = round();
    for (const pid of there) {
      await sleep(20);
      signal(pid, 'SIGKILL');
      await holds(isHit, GONE_MS);
      if (isHit()) break;
    }
    for (const pid of there) if (!killed.has(pid)) signal(pid, 'SIGCONT');
    return results;
  }
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
      // Asked of the dispatcher, as the events of the first rounds are written only after them.
      const members = dispatcher as UnitDispatcher;
      const leave = members.leave.bind(members);
      members.leave = (worker) => {
        const tasks = leave(worker);
        for (const task of tasks) notHit.delete(task);
        return tasks;
      };
      dispatcher.round = async (spec) => {
        const tasks = spec.tasks.map(({ task }) => task);
        const name = tasks.join();
        const isNew = tasks.some((task) => notHit.has(task));
        // On a busy machine those that take the place of killed ones may not be there yet, and some tasks come once.
        if (isNew) await holds(() => living().length > 0, PATIENCE_MS);
        const now = performance.now();
        if (!isNew && killed.size < kills && now >= next && rng.below(4) === 0) {
          next = now + pause;
          setTimeout(killAny, rng.uniform() * (durations.get(name) ?? 1));
        }
        const results = await (isNew ? hit(tasks, () => round(spec)) : round(spec));
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
