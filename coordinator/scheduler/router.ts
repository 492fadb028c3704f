import { byPrefix } from '../../proto/codec.ts';
import type { FromCoordinator, FromWorker } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Counts } from './counts.ts';
import type { UnitDispatcher } from './dispatcher.ts';
import type { Member, Registry } from './registry.ts';
import type { ResultVerdict } from './round.ts';
import type { ResultsMessage, Usage } from './usage.ts';

export type FetchMessage = Extract<FromWorker, { type: 'fetch' }>;

/** Observes the progress of rounds. */
export interface RoundListener {
  /** A worker's results were accepted. `tasks`: seconds of each task, over all units of the message. */
  results(label: string, header: ResultsMessage, tasks: [string, number][]): void;
  /** A round is complete, after this many ms. */
  roundEnded(duration: number): void;
}

export interface RouterOptions {
  /** Identifies this coordinator process; results meant for another one are dropped. */
  term: number;
  registry: Registry;
  dispatcher: UnitDispatcher;
  usage: Usage;
  counts: Counts;
  send(peer: string, message: FromCoordinator): void;
  /** Responds to a worker's request for rows. */
  fetch(peer: string, header: FetchMessage): void;
  roundListener?: RoundListener;
}

const COUNTER_OF: Record<Exclude<ResultVerdict, 'accepted' | 'unconfirmed'>, keyof Counts> = {
  late: 'resultsLate',
  'not asked for': 'resultsNotAskedFor',
  'wrong shape': 'resultsWrongShape',
};

/** Passes each worker's messages to the part that handles them. */
export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** Handles a message from the connection `peer`, already checked against its schema. */
  receive(peer: string, header: FromWorker, tensors: Tensors): void {
    const { registry, send } = this.#options;
    if (header.type === 'hello') {
      registry.hello(peer, header);
      return;
    }
    const member = registry.memberAt(peer);
    if (!member) send(peer, { type: 'who' });
    else if (header.type === 'bye') registry.bye(member);
    else if (registry.heardFrom(member)) this.#handle(member, header, tensors);
  }

  #handle(member: Member, header: Exclude<FromWorker, { type: 'hello' | 'bye' }>, tensors: Tensors): void {
    const { term, dispatcher, counts, send, fetch } = this.#options;
    if (header.type === 'ping') send(member.peer, { type: 'pong' });
    else if (header.type === 'fetch') fetch(member.peer, header);
    else if (header.term !== term) counts.resultsOfAnotherTerm++;
    else if (header.type === 'failure') dispatcher.failure(member.worker, header);
    else this.#results(member, header, tensors);
  }

  #results(member: Member, header: ResultsMessage, tensors: Tensors): void {
    const { registry, dispatcher, usage, counts, roundListener } = this.#options;
    const { round, done, memory, gpuMemory = null } = header;
    registry.reportMemory(member, memory, gpuMemory);
    // Before the results: the last one ends the round.
    const elapsed = dispatcher.elapsed();
    const parts = byPrefix(tensors);
    let accepted = 0;
    let isWrong = false;
    for (const [i, units] of done.entries()) {
      const verdict = dispatcher.result(member.worker, { round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'accepted') accepted++;
      else if (verdict !== 'unconfirmed') counts[COUNTER_OF[verdict]]++;
      isWrong ||= verdict === 'wrong shape';
    }
    if (accepted) {
      registry.recordContribution(member);
      const tasks = usage.add(member.worker, header, elapsed);
      roundListener?.results(member.label, header, tasks);
    }
    if (isWrong) registry.sendAway(member.worker);
  }
}
