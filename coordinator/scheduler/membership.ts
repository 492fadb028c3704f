import type { Layout } from '../../model/layout.ts';
import { byPrefix } from '../../proto/codec.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Emit } from '../../view/events.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { createAllowance } from './rate-limit.ts';
import { type Accounts, createAccounts } from './usage.ts';

/** Why a worker has left that takes nothing of what it is sent. */
export const UNREAD = 'does not read what it is sent';

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
  /** A worker's process on this host has ended: what is still on its way from it counts no more. Had it done anything? */
  ended(pid: number, host: string, reason: string): boolean;
  /** This connection does not take what it is sent: so its worker is not here, until it says hello again. */
  stalled(peer: string): void;
  /** All connections end: whoever may come back says hello again. */
  cut(reason: string): void;
  /** Connections to all that are here. */
  peers(): string[];
  /** Is this the connection of a worker that is here? */
  isHere(peer: string): boolean;
  identity(): string | null;
  /** The backend of the first worker of the run's identity, and why it was taken. */
  backend(): { name: string; why: string } | null;
  /** Resolves when this many workers are here. */
  joined(count: number): Promise<void>;
  usage: Accounts['usage'];
  /** Of the whole run; `workers` is the most at one time. */
  totals(): ReturnType<Accounts['totals']> & { workers: number };
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
  /** Of a run that is resumed; else the run's is that of the first result. */
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
/**
 * Of all workers together, as a key can be shared: so many arrive at once when all come back, and so many a second after
 * that. Each brings all states and a line in the events.
 */
const AT_ONCE = 2 * MOST_MEMBERS;
const A_SECOND = 20;
/** Characters of a name that make its label. */
const LABEL = 100;

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
  /** A result of it was taken. */
  proven: boolean;
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
  /** Once a result was taken: until then the run's is that of who is here, and goes with the last of them. */
  let proven = options.identity ?? null;
  let first: { name: string; why: string } | null = null;
  const mayArrive = createAllowance(AT_ONCE, A_SECOND, now);
  const accounts = createAccounts(layout.rows);
  let most = 0;
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

  const identityNow = () => proven ?? [...members.values()].find(({ here }) => here)?.identity ?? null;

  function refuse(peer: string, more: { reason: string; identity?: string; retry?: boolean }): void {
    count('hello refused');
    send(peer, { type: 'refuse', ...more });
  }

  function hello(peer: string, header: Hello): void {
    // Not answered, a worker asks again.
    if (!mayArrive()) {
      count('hello ignored');
      return;
    }
    const problem = whyNot(header);
    if (problem) {
      refuse(peer, problem);
      return;
    }
    const member = bySession.get(header.session) ?? successor(header) ?? newcomer(header);
    if (!member) {
      // Not for ever: some of them may leave.
      refuse(peer, { reason: `there are ${MOST_MEMBERS} workers already`, retry: true });
      return;
    }
    if (!proven && identityNow() === null) first = null;
    first ??= { name: header.backend, why: header.why ?? '' };
    const isNews = !member.here || !sameAs(member, header);
    bySession.delete(member.session);
    byPeer.delete(member.peer);
    const { session, name, host, pid, backend, identity: own, why = '' } = header;
    member.proven &&= member.session === session;
    Object.assign(member, { session, peer, name, host, pid, backend, identity: own, why, ended: false });
    Object.assign(member.view, { host, backend, gpu: header.gpu ?? null });
    bySession.set(session, member);
    byPeer.set(peer, member);
    send(peer, { type: 'welcome', worker: member.worker, term, file: options.file, layout });
    arrive(member, isNews);
  }

  function whyNot({ protocol, identity: own }: Pick<Hello, 'protocol' | 'identity'>) {
    if (protocol !== PROTOCOL) {
      const versions = `it speaks protocol ${protocol}, this coordinator ${PROTOCOL}`;
      return { reason: `${versions}; use the same version of dpmesh` };
    }
    const identity = identityNow();
    if (options.mixed || identity === null || own === identity) return;
    const reason = `its numeric identity is ${own}, the run's is ${identity}: their bits would differ (see --mixed)`;
    return { reason, identity };
  }

  const sameAs = (member: Member, { session, name, host, pid, backend, identity, why = '', gpu }: Hello) =>
    member.session === session &&
    member.name === name &&
    member.host === host &&
    member.pid === pid &&
    member.backend === backend &&
    member.identity === identity &&
    member.why === why &&
    member.view.gpu === (gpu ?? null);

  /** A worker that left, of the same name and place: whoever replaces it goes on under its number. */
  function successor({ name, host }: Hello): Member | undefined {
    return name === ''
      ? undefined
      : [...members.values()].find((member) => !member.here && member.name === name && member.host === host);
  }

  function newcomer(header: Hello): Member | undefined {
    const { session, name, host, pid, backend, identity: own, why = '' } = header;
    // A run may see more come and go in its time: the number of who is gone longest is given anew, first of those who
    // have done nothing.
    if (members.size >= MOST_MEMBERS)
      return [...members.values()]
        .filter((member) => !member.here)
        .sort((a, b) => Number(a.proven) - Number(b.proven) || a.heard - b.heard)[0];
    const worker = `w${members.size + 1}`;
    const label = labelOf(worker, name);
    labels.add(label);
    const about = { worker, label, host, backend, gpu: null };
    const view: MemberView = { ...about, state: 'gone', joins: 0, memory: 0, gpuMemory: null };
    const from = { session, name, host, pid, backend, identity: own, why };
    const made = { ...from, worker, peer: '', heard: 0, here: false, ended: false, proven: false };
    members.set(worker, { ...made, view });
    return members.get(worker)!;
  }

  /** Unlike all others, and short. */
  function labelOf(worker: string, name: string): string {
    const wanted = name.slice(0, LABEL) || worker;
    return labels.has(wanted) ? `${wanted}/${worker}` : wanted;
  }

  /** `isNews`: it was not here, or says other things of itself. */
  function arrive(member: Member, isNews = true): void {
    const { worker, name, pid, host, backend, identity: own, why, view } = member;
    member.here = true;
    member.heard = now();
    view.state = 'up';
    view.joins++;
    const gpu = view.gpu === null ? {} : { gpu: view.gpu };
    if (isNews) emit({ type: 'worker', worker, name, pid, host, backend, identity: own, why, ...gpu });
    dispatcher.join(worker);
    most = Math.max(most, dispatcher.workers().length);
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
    if (!member.here) {
      if (!mayArrive()) {
        count('hello ignored');
        return;
      }
      const problem = whyNot({ ...member, protocol: PROTOCOL });
      if (problem) {
        byPeer.delete(member.peer);
        refuse(member.peer, problem);
        return;
      }
      arrive(member);
    }
    if (header.type === 'ping') send(member.peer, { type: 'pong' });
    else if (header.type !== 'fetch' && header.term !== term) count('result of another term');
    else if (header.type === 'results') results(member, header, tensors);
    else if (header.type === 'failure') dispatcher.failure(member.worker, header);
  }

  function results(member: Member, header: Results, tensors: Tensors): void {
    const { worker, view } = member;
    view.memory = header.memory;
    view.gpuMemory = header.gpuMemory ?? null;
    const lasted = dispatcher.elapsed();
    const parts = byPrefix(tensors);
    let taken = 0;
    for (const [i, units] of header.done.entries()) {
      const verdict = dispatcher.result(worker, { round: header.round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'taken') taken++;
      else count(`result ${verdict}`);
    }
    if (!taken) return;
    member.proven = true;
    proven ??= identityNow();
    const tasks = accounts.add(worker, header, lasted);
    watcher?.results(view.label, header, tasks);
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
      return found.some(({ proven }) => proven);
    },
    stalled(peer) {
      const member = byPeer.get(peer);
      if (!member) return;
      byPeer.delete(peer);
      leave(member, UNREAD);
    },
    cut(reason) {
      for (const member of members.values()) leave(member, reason);
      byPeer.clear();
    },
    peers: () => [...byPeer.keys()],
    isHere: (peer) => byPeer.get(peer)?.here ?? false,
    identity: identityNow,
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
    usage: accounts.usage,
    totals: () => ({ ...accounts.totals(), workers: most }),
    counts: () => Object.fromEntries(counts),
    members: () => [...members.values()].map(({ view }) => view),
  };
}
