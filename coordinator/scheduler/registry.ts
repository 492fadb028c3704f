import { isDeepStrictEqual } from 'node:util';
import type { Layout } from '../../model/layout.ts';
import { type FromCoordinator, type FromWorker, PROTOCOL } from '../../proto/messages.ts';
import type { Departure, Emit } from '../../view/events.ts';
import type { Counts } from './counts.ts';
import type { UnitDispatcher } from './dispatcher.ts';
import { TokenBucket } from './rate-limit.ts';

type Hello = Extract<FromWorker, { type: 'hello' }>;
type Refusal = Omit<Extract<FromCoordinator, { type: 'refuse' }>, 'type'>;

export interface RegistryOptions {
  layout: Layout;
  /** Where workers may read the data themselves. */
  file: { path: string; firstBlock: string } | null;
  /** This process of the coordinator. */
  term: number;
  /** Of a run that is resumed; else the run's is that of the first result. */
  identity?: string | null;
  /** Workers of other identities are let in too. */
  mixed?: boolean;
  /** A worker that is silent for longer is suspected, ms. */
  heartbeatTimeout: number;
  /** Is told who comes and goes. */
  dispatcher: Pick<UnitDispatcher, 'join' | 'leave'>;
  counts: Counts;
  send(peer: string, message: FromCoordinator): void;
  now(): number;
  emit: Emit;
  log(line: string): void;
}

/** What a worker says of itself in its hello. */
interface About {
  session: string;
  name: string;
  host: string;
  pid: number;
  backend: string;
  identity: string;
  /** Why that backend was taken. */
  why: string;
  gpu: string | null;
}

/** A worker that is or was here. */
export interface Member {
  /** Its number, which whoever replaces it goes on under. */
  readonly worker: string;
  readonly label: string;
  about: About;
  /** Its connection. */
  peer: string;
  state: 'up' | 'silent' | 'gone';
  joins: number;
  heard: number;
  /** Its process has ended: what is still on its way from it counts no more. */
  ended: boolean;
  /** A result of it was taken. */
  proven: boolean;
  memory: number;
  gpuMemory: MemberView['gpuMemory'];
}

/** A worker as those see it who watch the run. */
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

/** Workers that are or were here: each costs memory. */
const MOST_MEMBERS = 1024;
/**
 * Of all workers together, as a key can be shared: so many arrive at once when all come back, and so many a second after
 * that. Each brings all states and a line in the events.
 */
const ARRIVALS_AT_ONCE = 2 * MOST_MEMBERS;
const ARRIVALS_A_SECOND = 20;
/** Characters of a name that make its label. */
const LABEL = 100;

/**
 * Who is here. Connections come and go; a worker is known by the session that its process drew, and is here from its
 * hello until it says bye, its process ends, or nothing is heard of it for a while. Whoever speaks again is taken back
 * like one that joins.
 */
export class Registry {
  readonly #options: RegistryOptions;
  readonly #arrivals: TokenBucket;
  readonly #members = new Map<string, Member>();
  readonly #bySession = new Map<string, Member>();
  readonly #byPeer = new Map<string, Member>();
  readonly #labels = new Set<string>();
  /** Called at each arrival. */
  readonly #waiting = new Set<() => void>();
  /** Once a result was taken: until then the run's is that of who is here, and goes with the last of them. */
  #fixedIdentity: string | null;
  #backend: { name: string; why: string } | null = null;
  #most = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#arrivals = new TokenBucket(ARRIVALS_AT_ONCE, ARRIVALS_A_SECOND, options.now);
    this.#fixedIdentity = options.identity ?? null;
  }

  /** Numeric identity of the run. */
  identity(): string | null {
    return this.#fixedIdentity ?? [...this.#members.values()].find(isHere)?.about.identity ?? null;
  }

  /** The backend of the first worker of the run's identity, and why it was taken. */
  backend(): { name: string; why: string } | null {
    return this.#backend;
  }

  /** All that are or were here. */
  members(): MemberView[] {
    return Array.from(this.#members.values(), viewOf);
  }

  /** The most that were here at one time. */
  mostAtOnce(): number {
    return this.#most;
  }

  /** All connections of workers, also of those that have left. */
  peers(): string[] {
    return [...this.#byPeer.keys()];
  }

  /** The connection of a worker. */
  peerOf(worker: string): string {
    return this.#members.get(worker)!.peer;
  }

  /** The worker of this connection, whether it is here or not. */
  at(peer: string): Member | undefined {
    return this.#byPeer.get(peer);
  }

  /** Resolves when this many workers are here. */
  joined(wanted: number): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (this.#present() < wanted) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** Welcomes a worker, or refuses it. */
  hello(peer: string, header: Hello): void {
    const { term, file, layout, counts, send } = this.#options;
    // Not answered, a worker asks again.
    if (!this.#arrivals.take()) {
      counts.hellosIgnored++;
      return;
    }
    const problem = this.#refusalOf(header);
    if (problem) {
      this.#refuse(peer, problem);
      return;
    }
    const about = aboutOf(header);
    const member = this.#bySession.get(about.session) ?? this.#successor(about) ?? this.#newcomer(about);
    if (!member) {
      // Not for ever: some of them may leave.
      this.#refuse(peer, { reason: `there are ${MOST_MEMBERS} workers already`, retry: true });
      return;
    }
    if (!this.#fixedIdentity && this.identity() === null) this.#backend = null;
    this.#backend ??= { name: about.backend, why: about.why };
    const isNews = !isHere(member) || !isDeepStrictEqual(member.about, about);
    this.#bySession.delete(member.about.session);
    this.#byPeer.delete(member.peer);
    member.proven &&= member.about.session === about.session;
    member.ended = false;
    Object.assign(member, { about, peer });
    this.#bySession.set(about.session, member);
    this.#byPeer.set(peer, member);
    send(peer, { type: 'welcome', worker: member.worker, term, file, layout });
    this.#arrive(member, isNews);
  }

  /** A worker was heard; one that had left is taken back. Is it here now? */
  hear(member: Member): boolean {
    member.heard = this.#options.now();
    if (member.ended) return false;
    if (isHere(member)) return true;
    if (!this.#arrivals.take()) {
      this.#options.counts.hellosIgnored++;
      return false;
    }
    const problem = this.#refusalOf({ identity: member.about.identity, protocol: PROTOCOL });
    if (problem) {
      this.#byPeer.delete(member.peer);
      this.#refuse(member.peer, problem);
      return false;
    }
    this.#arrive(member);
    return true;
  }

  /** A worker says goodbye. */
  bye(member: Member): void {
    member.heard = this.#options.now();
    this.#leave(member, 'goodbye', 'said goodbye');
  }

  /** What a worker says of its memory. */
  reportMemory(member: Member, memory: number, gpuMemory: Member['gpuMemory']): void {
    member.memory = memory;
    member.gpuMemory = gpuMemory;
  }

  /** A result of this worker was taken: from the first one on, the identity of the run stays. */
  prove(member: Member): void {
    member.proven = true;
    this.#fixedIdentity ??= this.identity();
  }

  /** Takes the silent for gone. */
  dropSilent(): void {
    const { heartbeatTimeout, counts, now } = this.#options;
    for (const member of this.#members.values())
      if (isHere(member) && now() - member.heard > heartbeatTimeout) {
        counts.workersSuspected++;
        this.#leave(member, 'silent', `silent for ${Math.round(heartbeatTimeout / 100) / 10} s`);
      }
  }

  /** A worker's process on this host has ended. Had it done anything? */
  ended(pid: number, host: string, how: Departure, reason: string): boolean {
    const found = [...this.#members.values()].filter(
      ({ about, ended }) => about.pid === pid && about.host === host && !ended,
    );
    for (const member of found) {
      this.#leave(member, how, reason);
      member.ended = true;
    }
    return found.some(({ proven }) => proven);
  }

  /** This connection does not take what it is sent: so its worker is not here, until it says hello again. */
  stalled(peer: string): void {
    const member = this.#byPeer.get(peer);
    if (!member) return;
    this.#byPeer.delete(peer);
    this.#leave(member, 'stalled', 'does not read what it is sent');
  }

  /** All connections end: whoever may come back says hello again. */
  cut(reason: string): void {
    for (const member of this.#members.values()) this.#leave(member, 'cut', reason);
    this.#byPeer.clear();
  }

  #refuse(peer: string, refusal: Refusal): void {
    this.#options.counts.hellosRefused++;
    this.#options.send(peer, { type: 'refuse', ...refusal });
  }

  #refusalOf({ protocol, identity: own }: Pick<Hello, 'protocol' | 'identity'>): Refusal | undefined {
    if (protocol !== PROTOCOL) {
      const versions = `it speaks protocol ${protocol}, this coordinator ${PROTOCOL}`;
      return { reason: `${versions}; use the same version of dpmesh` };
    }
    const identity = this.identity();
    if (this.#options.mixed || identity === null || own === identity) return;
    const reason = `its numeric identity is ${own}, the run's is ${identity}: their bits would differ (see --mixed)`;
    return { reason, identity };
  }

  /** A worker that left, of the same name and place: whoever replaces it goes on under its number. */
  #successor({ name, host }: About): Member | undefined {
    if (name === '') return;
    return [...this.#members.values()].find(
      (member) => !isHere(member) && member.about.name === name && member.about.host === host,
    );
  }

  #newcomer(about: About): Member | undefined {
    // A run may see more come and go in its time: the number of who is gone longest is given anew, first of those who
    // have done nothing.
    if (this.#members.size >= MOST_MEMBERS)
      return [...this.#members.values()]
        .filter((member) => !isHere(member))
        .sort((a, b) => Number(a.proven) - Number(b.proven) || a.heard - b.heard)[0];
    const worker = `w${this.#members.size + 1}`;
    const member: Member = {
      worker,
      label: this.#labelOf(worker, about.name),
      about,
      peer: '',
      state: 'gone',
      joins: 0,
      heard: 0,
      ended: false,
      proven: false,
      memory: 0,
      gpuMemory: null,
    };
    this.#members.set(worker, member);
    return member;
  }

  /** Unlike all others, and short. */
  #labelOf(worker: string, name: string): string {
    const wanted = name.slice(0, LABEL) || worker;
    const label = this.#labels.has(wanted) ? `${wanted}/${worker}` : wanted;
    this.#labels.add(label);
    return label;
  }

  /** `isNews`: it was not here, or says other things of itself. */
  #arrive(member: Member, isNews = true): void {
    const { now, emit, dispatcher } = this.#options;
    const { worker, about } = member;
    member.state = 'up';
    member.heard = now();
    member.joins++;
    if (isNews) {
      const { name, pid, host, backend, identity, why } = about;
      const gpu = about.gpu === null ? {} : { gpu: about.gpu };
      emit({ type: 'worker', worker, name, pid, host, backend, identity, why, ...gpu });
    }
    dispatcher.join(worker);
    this.#most = Math.max(this.#most, this.#present());
    for (const check of [...this.#waiting]) check();
  }

  #leave(member: Member, how: Departure, reason: string): void {
    if (!isHere(member)) return;
    const { emit, dispatcher, log } = this.#options;
    member.state = how === 'silent' ? 'silent' : 'gone';
    const tasks = dispatcher.leave(member.worker);
    emit({ type: 'worker-gone', worker: member.worker, pid: member.about.pid, how, reason, tasks });
    if (!this.#present()) log('no workers left: waiting for one to join');
  }

  /** How many are here. */
  #present(): number {
    let count = 0;
    for (const member of this.#members.values()) if (isHere(member)) count++;
    return count;
  }
}

const isHere = ({ state }: Member) => state === 'up';

function aboutOf({ session, name, host, pid, backend, identity, why, gpu }: Hello): About {
  return { session, name, host, pid, backend, identity, why: why ?? '', gpu: gpu ?? null };
}

function viewOf({ worker, label, about, state, joins, memory, gpuMemory }: Member): MemberView {
  const { host, backend, gpu } = about;
  return { worker, label, host, backend, gpu, state, joins, memory, gpuMemory };
}
