import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../../base/user-error.ts';
import type { Layout } from '../../model/layout.ts';
import { buildId } from '../../proto/build-id.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../proto/messages.ts';
import type { Departure, Emit } from '../../run/events.ts';
import { type Counts, createTokenBucket } from './accounting.ts';
import type { UnitDispatcher } from './dispatcher.ts';

/** The workers of a run: who may join, who is present, silent or gone. It knows nothing of rounds, but tells those that do who has come and left. */

type Hello = Extract<FromWorker, { type: 'hello' }>;
type Refusal = Omit<Extract<FromCoordinator, { type: 'refuse' }>, 'type'>;

/** The rows that workers compute on. */
export interface ServedRows {
  layout: Layout;
  /** The data file, for workers that can read it; null: they fetch rows from the coordinator. */
  file: { path: string; firstBlock: string; array?: string } | null;
  /** Identifies this coordinator process, and these rows. */
  term: number;
}

/** A folder that workers write to, by the token in a file in it. */
export type SharedFolder = Omit<Extract<FromCoordinator, { type: 'folder' }>, 'type'>;

export interface RegistryOptions extends ServedRows {
  /** Of a relay, its session: there are no rows yet, and workers are welcomed once these are served. */
  relay?: string;
  /** Numeric identity of a resumed run; otherwise the first worker that contributes a result determines it. */
  identity?: string | null;
  /** Also accept workers with other numeric identities. */
  mixed?: boolean;
  /** A worker that is silent for longer than this is dropped, ms. */
  heartbeatTimeout: number;
  /** Notified of arrivals and departures. */
  dispatcher: Pick<UnitDispatcher, 'join' | 'leave' | 'serve' | 'resize'>;
  counts: Counts;
  send(peer: string, message: FromCoordinator): void;
  now(): number;
  emit: Emit;
  log(line: string): void;
}

/** What a worker reports about itself in its hello; `version`, its build: null, if it is not a dpmesh. */
type WorkerDescription = ReturnType<typeof descriptionOf>;

/** A worker that is connected, or was. */
export interface Member {
  /** Its number (`w1`), which a replacement takes over. */
  readonly worker: string;
  /** Its name for people, kept by a replacement: the worker's own name, or its number if it has none. */
  readonly label: string;
  description: WorkerDescription;
  /** Workers for which it stands: 1, or those of a relay. */
  size: number;
  /** Sessions of the relays that it is, or that are behind it. */
  relays: readonly string[];
  /** Its connection. */
  peer: string;
  state: 'up' | 'silent' | 'gone';
  joins: number;
  /** When its last message arrived. */
  lastHeard: number;
  /** When its connection was found closed; null: it is open. */
  closedAt: number | null;
  /** Its process has ended: messages still arriving from it are ignored. */
  processEnded: boolean;
  /** One of its results was wrong: its process is not admitted again. */
  isBarred: boolean;
  /** It may read the data file itself: not if its copy has proved to be unusable. */
  mayReadFile: boolean;
  /** One of its results was accepted. */
  hasContributed: boolean;
  /** Resident bytes, as last reported; 0: not reported yet. */
  memory: number;
  gpuMemory: { used: number; limit: number } | null;
}

/** A worker as monitoring shows it. */
export type MemberView = ReturnType<typeof viewOf>;

/** Workers, connected or not, that are remembered: each costs memory. */
const MAX_MEMBERS = 1024;
/** Rate limit on arrivals: each costs sending all states and a line in the event log. The burst lets every worker return at once. */
const ARRIVAL_BURST = 2 * MAX_MEMBERS;
const ARRIVALS_PER_SECOND = 20;
/** Time for a worker whose connection is closed to say hello on another one, or for its process to be seen to have ended, ms. */
const RETURN_MS = 800;
/** Why a worker is sent away. Another process may take its place. */
const WRONG_RESULT = 'its results cannot be right: faulty memory, or another version of dpmesh';
/** Longest label, in characters of the worker's name. */
const MAX_LABEL = 100;

export type Registry = ReturnType<typeof createRegistry>;

/**
 * The workers of a run. Connections come and go; a worker is identified by the session id of its process. It is present
 * from its hello until it says bye, its process ends, or it is silent for too long. If it sends a message after that, it
 * joins again.
 */
export function createRegistry(options: RegistryOptions) {
  const mayArrive = createTokenBucket(ARRIVAL_BURST, ARRIVALS_PER_SECOND, options.now);
  const known = new Map<string, Member>();
  const bySession = new Map<string, Member>();
  const byPeer = new Map<string, Member>();
  const labels = new Set<string>();
  /** Called at each arrival. */
  const arrivalListeners = new Set<() => void>();
  /** Set by the first accepted result. Until then the workers present determine the run's identity. */
  let fixedIdentity = options.identity ?? null;
  let firstBackend: { name: string; why: string } | null = null;
  let rows: ServedRows | null = options.relay === undefined ? options : null;
  let peak = 0;
  let folder: SharedFolder | null = null;
  /** Who has not said yet whether it sees the folder, and what waits for that. */
  const awaited = new Set<Member>();
  let showing: { resolve(): void; reject(error: Error): void } | null = null;

  /** Numeric identity of the run. */
  function identity(): string | null {
    return fixedIdentity ?? [...known.values()].find(isPresent)?.description.identity ?? null;
  }

  /** A worker for people, such as `w1 on node7`. */
  function describe(worker: string): string {
    return `${worker} on ${known.get(worker)!.description.host}`;
  }

  function welcome({ worker, peer, mayReadFile }: Member): void {
    if (!rows) return;
    const { term, file, layout } = rows;
    options.send(peer, { type: 'welcome', worker, term, file: mayReadFile ? file : null, layout });
    if (folder) options.send(peer, { type: 'folder', ...folder });
  }

  /** All present workers see the folder. */
  function checkSeen(): void {
    if (![...awaited].some(isPresent)) showing?.resolve();
  }

  function refuse(peer: string, refusal: Refusal): void {
    options.counts.hellosRefused++;
    options.send(peer, { type: 'refuse', ...refusal });
  }

  function refusalOf(theirs: Pick<Hello, 'protocol' | 'version' | 'identity'>): Refusal | undefined {
    const { protocol, version = 'of another version' } = theirs;
    // Two builds of one version may have unlike tasks: each would wait for what the other does not understand.
    if (protocol !== PROTOCOL || (theirs.version !== undefined && version !== buildId())) {
      const named = (version: string, own: number) =>
        protocol === PROTOCOL ? version : `${version} (protocol ${own})`;
      const [theirBuild, ownBuild] = [named(version, protocol), named(buildId(), PROTOCOL)];
      return {
        reason: `it is dpmesh ${theirBuild}, this coordinator is ${ownBuild}: install the same build on both`,
      };
    }
    const own = identity();
    if (options.mixed || own === null || theirs.identity === own) return;
    const reason = `its numeric identity is ${theirs.identity}, the run's is ${own}: results would not be bit-identical (see --mixed)`;
    return { reason, identity: own };
  }

  /** A worker of the same name and host that has left: the new one takes over its number. */
  function departedNamesake({ name, host }: WorkerDescription): Member | undefined {
    if (name === '') return;
    return [...known.values()].find(
      (member) => !isPresent(member) && member.description.name === name && member.description.host === host,
    );
  }

  /** A new number; with all in use, that of the worker that left longest ago. */
  function newMember(description: WorkerDescription): Member | undefined {
    if (known.size >= MAX_MEMBERS)
      return [...known.values()]
        .filter((member) => !isPresent(member))
        .sort((a, b) => a.lastHeard - b.lastHeard)[0];
    const worker = `w${known.size + 1}`;
    const member: Member = {
      worker,
      label: labelOf(worker, description.name),
      description,
      size: 1,
      relays: [],
      peer: '',
      state: 'gone',
      joins: 0,
      lastHeard: 0,
      closedAt: null,
      processEnded: false,
      isBarred: false,
      mayReadFile: true,
      hasContributed: false,
      memory: 0,
      gpuMemory: null,
    };
    known.set(worker, member);
    return member;
  }

  /** A short label, unique in the run. */
  function labelOf(worker: string, name: string): string {
    const wanted = name.slice(0, MAX_LABEL) || worker;
    const label = labels.has(wanted) ? `${wanted}/${worker}` : wanted;
    labels.add(label);
    return label;
  }

  /** `isNews`: the worker was not present, or its description has changed. */
  function arrive(member: Member, isNews = true): void {
    const { now, emit, dispatcher } = options;
    const { worker, description } = member;
    member.state = 'up';
    member.lastHeard = now();
    member.closedAt = null;
    member.joins++;
    if (isNews) {
      const { session: _, gpu, version, ...about } = description;
      emit({ type: 'worker', worker, ...about, ...(version && { version }), ...(gpu !== null && { gpu }) });
    }
    dispatcher.join(worker, member.size);
    peak = Math.max(peak, countPresent());
    for (const check of [...arrivalListeners]) check();
  }

  /** `returns`: it joins again at once. */
  function leave(member: Member, how: Departure, reason: string, returns = false): void {
    if (!isPresent(member)) return;
    const { emit, dispatcher, log } = options;
    member.state = how === 'silent' ? 'silent' : 'gone';
    checkSeen();
    const tasks = dispatcher.leave(member.worker);
    const { pid, host } = member.description;
    emit({ type: 'worker-gone', worker: member.worker, pid, host, how, reason, tasks });
    if (!returns && !countPresent()) log('no workers left: waiting for one to join');
  }

  const countPresent = () => [...known.values()].filter(isPresent).length;

  return {
    identity,
    describe,
    /** Backend of the first worker with the run's identity, and why it was chosen. */
    backend: () => firstBackend,
    /** All workers, present or not. */
    members: () => Array.from(known.values(), viewOf),
    /** The largest number of workers present at one time. */
    peakCount: () => peak,
    /** The connections of all workers, including those that have left. */
    peers: () => [...byPeer.keys()],
    /** The worker of this number, present or not. */
    member: (worker: string) => known.get(worker)!,
    /** The worker on this connection, present or not. */
    memberAt: (peer: string) => byPeer.get(peer),
    /** Resolves when this many workers are present. */
    joined(wanted: number): Promise<void> {
      return new Promise((resolve) => {
        const check = () => {
          if (countPresent() < wanted) return;
          arrivalListeners.delete(check);
          resolve();
        };
        arrivalListeners.add(check);
        check();
      });
    },
    /** Welcomes a worker or refuses it. */
    hello(peer: string, header: Hello): void {
      // A worker that gets no reply retries.
      if (!mayArrive()) {
        options.counts.hellosIgnored++;
        return;
      }
      const isBarred = bySession.get(header.session)?.isBarred;
      const isLoop = header.relays?.includes(options.relay ?? '');
      const problem = isBarred
        ? { reason: WRONG_RESULT }
        : isLoop
          ? { reason: 'it is connected to itself: --connect of a relay has to lead to a coordinator' }
          : refusalOf(header);
      if (problem) {
        refuse(peer, problem);
        return;
      }
      const description = descriptionOf(header);
      const member =
        bySession.get(description.session) ?? departedNamesake(description) ?? newMember(description);
      if (!member) {
        // Retrying makes sense: some of them may leave.
        refuse(peer, { reason: `there are ${MAX_MEMBERS} workers already`, retry: true });
        return;
      }
      if (!fixedIdentity && identity() === null) firstBackend = null;
      firstBackend ??= { name: description.backend, why: description.why };
      const isNews = !isPresent(member) || !isDeepStrictEqual(member.description, description);
      bySession.delete(member.description.session);
      byPeer.delete(member.peer);
      member.hasContributed &&= member.description.session === description.session;
      const { workers: size = 1, relays = [] } = header;
      Object.assign(member, { description, size, relays, peer, processEnded: false, isBarred: false });
      bySession.set(description.session, member);
      byPeer.set(peer, member);
      welcome(member);
      arrive(member, isNews);
    },
    /** Notes that a message arrived from a worker; one that had left joins again. Returns whether it is present now. */
    heardFrom(member: Member): boolean {
      member.lastHeard = options.now();
      if (member.processEnded) return false;
      if (isPresent(member)) return true;
      if (!mayArrive()) {
        options.counts.hellosIgnored++;
        return false;
      }
      const problem = refusalOf({ identity: member.description.identity, protocol: PROTOCOL });
      if (problem) {
        byPeer.delete(member.peer);
        refuse(member.peer, problem);
        return false;
      }
      arrive(member);
      return true;
    },
    /** Shows the folder to all workers, also to those that come later. Rejects with a UserError if one of those present does not see it. */
    show(next: SharedFolder): Promise<void> {
      folder = next;
      return new Promise((resolve, reject) => {
        showing = { resolve, reject };
        for (const member of known.values()) {
          if (!isPresent(member)) continue;
          awaited.add(member);
          options.send(member.peer, { type: 'folder', ...next });
        }
        checkSeen();
      });
    },
    /** A worker sees the folder, or does not for this reason. */
    sees(member: Member, problem: string | undefined): void {
      const what = `worker ${describe(member.worker)} does not see the folder of the run, which --labels-out shards needs: ${problem}`;
      if (problem === undefined) awaited.delete(member);
      else if (awaited.has(member)) showing!.reject(new UserError(what));
      else options.log(what);
      checkSeen();
    },
    /** A relay has another number of workers. */
    resize(member: Member, size: number): void {
      member.size = size;
      options.dispatcher.resize(member.worker, size);
    },
    /** A worker says goodbye. */
    bye(member: Member): void {
      member.lastHeard = options.now();
      leave(member, 'goodbye', 'said goodbye');
    },
    /** Stores a worker's memory use, in bytes. */
    reportMemory(member: Member, memory: number, gpuMemory: Member['gpuMemory']): void {
      member.memory = memory;
      member.gpuMemory = gpuMemory;
    },
    /** A result of this worker was accepted. The first one fixes the run's numeric identity. */
    recordContribution(member: Member): void {
      member.hasContributed = true;
      fixedIdentity ??= identity();
    },
    /** Drops workers whose connections are closed, or that have been silent for longer than the heartbeat timeout. */
    dropSilent(): void {
      const { heartbeatTimeout, counts, now } = options;
      for (const member of [...known.values()].filter(isPresent))
        if (now() - (member.closedAt ?? Infinity) > RETURN_MS) {
          byPeer.delete(member.peer);
          leave(member, 'disconnected', 'its connection was closed');
        } else if (now() - member.lastHeard > heartbeatTimeout) {
          counts.workersSuspected++;
          leave(member, 'silent', `silent for ${Math.round(heartbeatTimeout / 100) / 10} s`);
        }
    },
    /** A worker's process on this host has ended. Returns whether it had contributed a result. */
    ended(pid: number, host: string, how: Departure, reason: string): boolean {
      const members = [...known.values()].filter(
        ({ description, processEnded }) =>
          description.pid === pid && description.host === host && !processEnded,
      );
      for (const member of members) {
        leave(member, how, reason);
        member.processEnded = true;
      }
      return members.some(({ hasContributed }) => hasContributed);
    },
    /** A worker has failed: its process ends by itself, or because it is refused from now on. */
    dismiss(member: Member, reason: string): void {
      leave(member, 'exited', reason);
      member.processEnded = true;
      refuse(member.peer, { reason: `it failed: ${reason}` });
    },
    /**
     * A worker's data file is not what it should be: from now on it gets its rows from the coordinator. Returns false if it does
     * so already. One that is not there does so when it returns.
     */
    withholdFile(member: Member, reason: string): boolean {
      const { log } = options;
      if (!member.mayReadFile || !rows?.file) return false;
      member.mayReadFile = false;
      if (!isPresent(member)) return true;
      log(
        `worker ${describe(member.worker)} gets its rows from the coordinator, as its own file is of no use: ${reason}`,
      );
      leave(member, 'cut', reason, true);
      welcome(member);
      arrive(member);
      return true;
    },
    /** The peer does not read its messages: its worker counts as gone until it says hello again. */
    stalled(peer: string): void {
      const member = byPeer.get(peer);
      if (!member) return;
      byPeer.delete(peer);
      leave(member, 'stalled', 'stopped reading its messages');
    },
    /** The peer's connection is closed: its worker counts as gone unless it says hello on another one soon. */
    disconnected(peer: string): void {
      const member = byPeer.get(peer);
      if (member) member.closedAt ??= options.now();
    },
    /** The connections of the workers that are present, but have not been heard since then. */
    unheardSince: (time: number) =>
      [...known.values()]
        .filter((member) => isPresent(member) && member.lastHeard < time)
        .map(({ peer }) => peer),
    /** A worker's result was wrong, as no honest worker's is: it has to leave. `reason`: what was wrong, for the log. */
    sendAway(worker: string, reason?: string): void {
      const member = known.get(worker);
      if (!member) return;
      // Also if it is not there: it may only have left for a moment.
      member.isBarred = true;
      byPeer.delete(member.peer);
      if (!isPresent(member)) return;
      if (reason) options.log(`worker ${describe(worker)} is sent away: ${reason}`);
      options.send(member.peer, { type: 'refuse', reason: WRONG_RESULT });
      leave(member, 'refused', WRONG_RESULT);
    },
    /** The run has another identity than the workers that are here: they are refused, and others like them from now on. */
    turnAway(refusal: { reason: string; identity: string }): void {
      fixedIdentity = refusal.identity;
      firstBackend = null;
      for (const member of [...known.values()].filter(isPresent)) {
        byPeer.delete(member.peer);
        refuse(member.peer, refusal);
        leave(member, 'refused', refusal.reason, true);
      }
    },
    /** All connections are being closed: workers that may return say hello again. */
    cut(reason: string): void {
      for (const member of known.values()) leave(member, 'cut', reason);
      byPeer.clear();
    },
    /** The run is over: nobody is up any more. */
    close(): void {
      for (const member of known.values()) member.state = 'gone';
    },
    /** From now on the run has these rows: all workers join again, without their states and rows. */
    serve(next: ServedRows): void {
      rows = next;
      options.dispatcher.serve(next.layout);
      for (const member of known.values()) {
        if (isPresent(member)) {
          welcome(member);
          options.dispatcher.join(member.worker, member.size);
          // One that returns has to be welcomed too: it says hello first.
        } else byPeer.delete(member.peer);
      }
    },
  };
}

const isPresent = ({ state }: Member) => state === 'up';

function descriptionOf(hello: Hello) {
  const { session, name, host, pid, backend, identity, version = null, why = '', gpu = null } = hello;
  return { session, name, host, pid, backend, identity, version, why, gpu };
}

function viewOf({ worker, label, description, size, relays, state, joins, memory, gpuMemory }: Member) {
  const { host, backend, version, gpu } = description;
  return { worker, label, host, backend, version, gpu, size, relays, state, joins, memory, gpuMemory };
}
