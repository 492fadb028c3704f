import type { Layout } from '../data/layout.ts';
import { byPrefix } from '../proto/codec.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../proto/messages.ts';
import { taskSchema } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';
import { createDispatcher, type Dispatcher } from './dispatch.ts';
import type { Emit } from './events.ts';

/**
 * Who is there. Connections come and go; a worker is known by the session that its process drew, and is here from its
 * hello until it says bye, its process ends, or nothing is heard of it for a while. Whoever speaks again is taken back
 * like one that joins. No sockets and no clock of its own: both are passed in, so that tests can play any network.
 */
export interface Membership {
  dispatcher: Dispatcher;
  /** A message, checked by its schema, from the connection `peer`. */
  receive(peer: string, header: FromWorker, tensors: Tensors): void;
  /** Time has passed: takes the silent for gone, races stragglers. */
  tick(): void;
  /** A worker's process on this host has ended: what is still on its way from it counts no more. Had it joined? */
  ended(pid: number, host: string, reason: string): boolean;
  /** All connections end: whoever may come back says hello again. */
  cut(reason: string): void;
  /** Connections to all that are here. */
  peers(): string[];
  /** Is this the connection of a worker that is here? */
  isHere(peer: string): boolean;
  identity(): string | null;
  /** The first worker's backend and why it was taken. */
  backend(): { name: string; why: string } | null;
  /** Resolves when this many workers are here. */
  joined(count: number): Promise<void>;
  /** Seconds of compute since the last call, by task and by worker. */
  usage(): { tasks: Record<string, number>; workers: Record<string, number> };
  /** Of the whole run; `workers` is the most at one time, `memory` the largest of any. */
  totals(): { rounds: number; rowsRead: number; workers: number; memory: number };
  /** Units dealt again or raced, results and messages refused, by reason. */
  counts(): Record<string, number>;
  /** All that are or were here. */
  members(): MemberView[];
}

export interface MemberView {
  worker: string;
  /** What people know it by, the same for whoever replaces it: its name, or its number where it has none of its own. */
  label: string;
  host: string;
  backend: string;
  gpu: string | null;
  state: 'up' | 'silent' | 'gone';
  joins: number;
  /** Resident bytes, as it last said; 0: it has not said. */
  memory: number;
  gpuMemory: { used: number; limit: number } | null;
}

/** Hears what workers report, as it comes. */
export interface Watcher {
  /** Tasks that there are, with their seconds over all units of the message. */
  results(label: string, header: Results, tasks: [string, number][]): void;
  /** A round is over, after this many ms. */
  roundEnded(took: number): void;
}

export interface MembershipOptions {
  layout: Layout;
  /** Where workers may read the data themselves. */
  file: { path: string; firstBlock: string } | null;
  /** This process of the coordinator; results of another do not count. */
  term: number;
  /** Of a run that is resumed; else the first worker's becomes the run's. */
  identity?: string | null;
  /** Workers of other identities are let in too. */
  mixed?: boolean;
  /** A worker that is silent for longer is suspected, ms. */
  timeout: number;
  send(peer: string, message: FromCoordinator, tensors?: Tensors): void;
  now(): number;
  emit: Emit;
  log(line: string): void;
  watcher?: Watcher;
}

/** Workers that are or were here: each costs memory. */
const MOST_MEMBERS = 1024;
/** Characters of a name that make its label. */
const LABEL = 100;
const TASKS = new Set<string>(taskSchema.def.options.map((option) => option.def.shape.task.def.values[0]));

interface Member {
  worker: string;
  session: string;
  peer: string;
  name: string;
  host: string;
  pid: number;
  backend: string;
  identity: string;
  why: string;
  heard: number;
  here: boolean;
  ended: boolean;
  view: MemberView;
}

type Hello = Extract<FromWorker, { type: 'hello' }>;
type Results = Extract<FromWorker, { type: 'results' }>;

export function createMembership(options: MembershipOptions): Membership {
  const { layout, term, timeout, send, now, emit, log, watcher } = options;
  const members = new Map<string, Member>();
  const bySession = new Map<string, Member>();
  const byPeer = new Map<string, Member>();
  const arrivals = new Set<() => void>();
  const labels = new Set<string>();
  const counts = new Map<string, number>();
  let identity = options.identity ?? null;
  let first: { name: string; why: string } | null = null;
  let usage = { tasks: new Map<string, number>(), workers: new Map<string, number>() };
  const totals = { rounds: 0, rowsRead: 0, memory: 0, workers: 0 };
  let ticked = now();

  const count = (reason: string, by = 1) => void counts.set(reason, (counts.get(reason) ?? 0) + by);
  const dispatcher = createDispatcher(
    {
      now,
      send: (worker, deal, tensors) =>
        send(members.get(worker)!.peer, { type: 'round', term, ...deal }, tensors),
      roundEnded: watcher?.roundEnded,
      dealtAgain: (units) => count('unit dealt again', units),
    },
    layout.shards,
  );

  function hello(peer: string, header: Hello): void {
    const member = whyNot(header) ?? bySession.get(header.session) ?? successor(header) ?? newcomer(header);
    if (typeof member === 'string') {
      count('hello refused');
      const differs = identity !== null && header.protocol === PROTOCOL && header.identity !== identity;
      send(peer, { type: 'refuse', reason: member, ...(differs && { identity: identity! }) });
      return;
    }
    identity ??= header.identity;
    first ??= { name: header.backend, why: header.why ?? '' };
    bySession.delete(member.session);
    byPeer.delete(member.peer);
    const { session, name, host, pid, backend, identity: own, why = '' } = header;
    Object.assign(member, { session, peer, name, host, pid, backend, identity: own, why, ended: false });
    Object.assign(member.view, { host, backend, gpu: header.gpu ?? null });
    bySession.set(session, member);
    byPeer.set(peer, member);
    send(peer, { type: 'welcome', worker: member.worker, term, file: options.file, layout });
    arrive(member);
  }

  function whyNot({ protocol, identity: own }: Hello): string | undefined {
    if (protocol !== PROTOCOL)
      return `it speaks protocol ${protocol}, this coordinator ${PROTOCOL}; use the same version of dpmesh`;
    if (!options.mixed && own !== (identity ?? own))
      return `its numeric identity is ${own}, the run's is ${identity}: their bits would differ (see --mixed)`;
  }

  /** A worker that left, of the same name and place: whoever replaces it goes on under its number. */
  function successor({ name, host }: Hello): Member | undefined {
    return name === ''
      ? undefined
      : [...members.values()].find((member) => !member.here && member.name === name && member.host === host);
  }

  function newcomer({ session, name, host, pid, backend, identity: own, why = '' }: Hello): Member | string {
    // A run may see more come and go in its time: the number of who is gone longest is given anew.
    if (members.size >= MOST_MEMBERS) {
      const gone = [...members.values()].filter((member) => !member.here).sort((a, b) => a.heard - b.heard);
      return gone[0] ?? `there are ${MOST_MEMBERS} workers already`;
    }
    const worker = `w${members.size + 1}`;
    const label = labelOf(worker, name);
    labels.add(label);
    const about = { worker, label, host, backend, gpu: null };
    const view: MemberView = { ...about, state: 'gone', joins: 0, memory: 0, gpuMemory: null };
    const from = { session, name, host, pid, backend, identity: own, why };
    const made = { ...from, worker, peer: '', heard: 0, here: false, ended: false };
    members.set(worker, { ...made, view });
    return members.get(worker)!;
  }

  /** Unlike all others, and short. */
  function labelOf(worker: string, name: string): string {
    const wanted = name.slice(0, LABEL) || worker;
    return labels.has(wanted) ? `${wanted}/${worker}` : wanted;
  }

  function arrive(member: Member): void {
    const { worker, name, pid, host, backend, identity: own, why, view } = member;
    member.here = true;
    member.heard = now();
    view.state = 'up';
    view.joins++;
    const gpu = view.gpu === null ? {} : { gpu: view.gpu };
    emit({ type: 'worker', worker, name, pid, host, backend, identity: own, why, ...gpu });
    dispatcher.join(worker);
    totals.workers = Math.max(totals.workers, dispatcher.workers().length);
    for (const check of [...arrivals]) check();
  }

  function leave(member: Member, reason: string): void {
    if (!member.here) return;
    member.here = false;
    member.view.state = reason.startsWith('silent') ? 'silent' : 'gone';
    const tasks = dispatcher.leave(member.worker);
    emit({ type: 'worker-gone', worker: member.worker, pid: member.pid, reason, tasks });
    if (!dispatcher.workers().length) log('no workers left: waiting for one to join');
  }

  function heard(member: Member, header: Exclude<FromWorker, Hello>, tensors: Tensors): void {
    member.heard = now();
    if (member.ended) return;
    if (header.type === 'bye') {
      leave(member, 'said goodbye');
      return;
    }
    if (!member.here) arrive(member);
    if (header.type === 'ping') send(member.peer, { type: 'pong' });
    else if (header.type !== 'fetch' && header.term !== term) count('result of another term');
    else if (header.type === 'results') results(member, header, tensors);
    else if (header.type === 'failure') dispatcher.failure(member.worker, header);
  }

  function results({ worker, view }: Member, header: Results, tensors: Tensors): void {
    view.memory = header.memory;
    view.gpuMemory = header.gpuMemory ?? null;
    totals.rowsRead += header.rowsRead;
    totals.memory = Math.max(totals.memory, header.memory);
    const tasks = Object.entries(header.seconds).filter(([task]) => TASKS.has(task));
    watcher?.results(view.label, header, tasks);
    for (const [task, spent] of tasks) {
      usage.tasks.set(task, (usage.tasks.get(task) ?? 0) + spent);
      usage.workers.set(worker, (usage.workers.get(worker) ?? 0) + spent);
    }
    const parts = byPrefix(tensors);
    for (const [i, units] of header.done.entries()) {
      const verdict = dispatcher.result(worker, { round: header.round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'taken') totals.rounds = Math.max(totals.rounds, header.round);
      else count(`result ${verdict}`);
    }
  }

  return {
    dispatcher,
    receive(peer, header, tensors) {
      if (header.type === 'hello') hello(peer, header);
      else {
        const member = byPeer.get(peer);
        if (member) heard(member, header, tensors);
        else send(peer, { type: 'who' });
      }
    },
    tick() {
      // After this process has slept itself, messages wait to be read: nobody is silent yet.
      const slept = now() - ticked > timeout / 2;
      ticked = now();
      if (slept) return;
      for (const member of members.values())
        if (member.here && now() - member.heard > timeout) {
          count('worker suspected');
          leave(member, `silent for ${Math.round(timeout / 100) / 10} s`);
        }
      count('unit raced', dispatcher.race());
    },
    ended(pid, host, reason) {
      const found = [...members.values()].filter(
        (member) => member.pid === pid && member.host === host && !member.ended,
      );
      for (const member of found) {
        leave(member, reason);
        member.ended = true;
      }
      return found.length > 0;
    },
    cut(reason) {
      for (const member of members.values()) leave(member, reason);
      byPeer.clear();
    },
    peers: () => [...byPeer.keys()],
    isHere: (peer) => byPeer.get(peer)?.here ?? false,
    identity: () => identity,
    backend: () => first,
    joined: (wanted) =>
      new Promise((resolve) => {
        const check = () => {
          if (dispatcher.workers().length < wanted) return;
          arrivals.delete(check);
          resolve();
        };
        arrivals.add(check);
        check();
      }),
    usage() {
      const found = usage;
      usage = { tasks: new Map(), workers: new Map() };
      return { tasks: Object.fromEntries(found.tasks), workers: Object.fromEntries(found.workers) };
    },
    totals: () => ({ ...totals }),
    counts: () => Object.fromEntries(counts),
    members: () => [...members.values()].map(({ view }) => view),
  };
}
