import { byPrefix } from '../../proto/codec.ts';
import type { FromCoordinator, FromWorker } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Counts } from './counts.ts';
import type { UnitDispatcher } from './dispatcher.ts';
import type { Member, Registry } from './registry.ts';
import type { Verdict } from './round.ts';
import type { Usage } from './usage.ts';

type Results = Extract<FromWorker, { type: 'results' }>;
export type Fetch = Extract<FromWorker, { type: 'fetch' }>;

/** Hears what workers report, as it comes. */
export interface Watcher {
  /** Tasks that there are, with their seconds over all units of the message. */
  results(label: string, header: Results, tasks: [string, number][]): void;
  /** A round is over, after this many ms. */
  roundEnded(took: number): void;
}

export interface RouterOptions {
  /** This process of the coordinator; results of another do not count. */
  term: number;
  registry: Registry;
  dispatcher: UnitDispatcher;
  usage: Usage;
  counts: Counts;
  send(peer: string, message: FromCoordinator): void;
  /** Answers a worker that asks for rows. */
  fetch(peer: string, header: Fetch): void;
  watcher?: Watcher;
}

const COUNTED: Record<Exclude<Verdict, 'taken'>, keyof Counts> = {
  late: 'resultsLate',
  'not asked for': 'resultsNotAskedFor',
  'wrong shape': 'resultsWrongShape',
};

/** Which message goes where. */
export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** A message, checked by its schema, from the connection `peer`. */
  receive(peer: string, header: FromWorker, tensors: Tensors): void {
    const { registry, send } = this.#options;
    if (header.type === 'hello') {
      registry.hello(peer, header);
      return;
    }
    const member = registry.at(peer);
    if (!member) send(peer, { type: 'who' });
    else if (header.type === 'bye') registry.bye(member);
    else if (registry.hear(member)) this.#handle(member, header, tensors);
  }

  #handle(member: Member, header: Exclude<FromWorker, { type: 'hello' | 'bye' }>, tensors: Tensors): void {
    const { term, dispatcher, counts, send, fetch } = this.#options;
    if (header.type === 'ping') send(member.peer, { type: 'pong' });
    else if (header.type === 'fetch') fetch(member.peer, header);
    else if (header.term !== term) counts.resultsOfAnotherTerm++;
    else if (header.type === 'failure') dispatcher.failure(member.worker, header);
    else this.#results(member, header, tensors);
  }

  #results(member: Member, header: Results, tensors: Tensors): void {
    const { registry, dispatcher, usage, counts, watcher } = this.#options;
    const { round, done, memory, gpuMemory = null } = header;
    registry.reportMemory(member, memory, gpuMemory);
    const lasted = dispatcher.elapsed();
    const parts = byPrefix(tensors);
    let taken = 0;
    for (const [i, units] of done.entries()) {
      const verdict = dispatcher.result(member.worker, { round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'taken') taken++;
      else counts[COUNTED[verdict]]++;
    }
    if (!taken) return;
    registry.prove(member);
    const tasks = usage.add(member.worker, header, lasted);
    watcher?.results(member.label, header, tasks);
  }
}
