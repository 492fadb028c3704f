import { indentContinuation, oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { byPrefix } from '../../proto/codec.ts';
import type { FromCoordinator, FromWorker, WorkUnit } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Counts } from './counts.ts';
import type { UnitDispatcher } from './dispatcher.ts';
import type { Member, Registry } from './registry.ts';
import type { ResultVerdict, UnitFailure } from './round.ts';
import type { ResultsMessage, Usage } from './usage.ts';

export type FetchMessage = Extract<FromWorker, { type: 'fetch' }>;
type FailureMessage = Extract<FromWorker, { type: 'failure' }>;

/** A unit failed at every worker, for reasons of their machines: the text names one of them. */
export class FailedEverywhere extends UserError {}

/** Why a worker gets no units for now. */
export const RESTS =
  'rounds are faster without this worker: its machine, or the network to it, costs more time than it saves';
/** Characters of a failure that the log and the event show. */
const MOST_REASON = 300;

/** Observes the progress of rounds. */
export interface RoundListener {
  /** A worker's results were accepted. `tasks`: seconds of each task, over all units of the message. */
  results(label: string, header: ResultsMessage, tasks: [string, number][]): void;
  /** A round is complete, after this many ms. */
  roundEnded(duration: number): void;
}

export interface RouterOptions {
  /** Identifies this coordinator process and its rows; results meant for others are dropped. */
  term: number;
  registry: Registry;
  dispatcher: UnitDispatcher;
  usage: Usage;
  counts: Counts;
  send(peer: string, message: FromCoordinator): void;
  /** Responds to a worker's request for rows. */
  fetch(peer: string, header: FetchMessage): void;
  /** What the coordinator itself finds wrong with the rows of a unit that a worker complains about; null: nothing. */
  verify(unit: WorkUnit, hashes: Uint8Array | undefined): Promise<Error | null>;
  roundListener?: RoundListener;
}

const COUNTER_OF: Record<Exclude<ResultVerdict, 'accepted'>, keyof Counts> = {
  late: 'resultsLate',
  'not asked for': 'resultsNotAskedFor',
  'wrong shape': 'resultsWrongShape',
};

/** Passes each worker's messages to the part that handles them. */
export class Router {
  readonly #options: RouterOptions;
  /** Workers whose complaint about the data is being verified, or waits for that. */
  readonly #complaining = new Set<Member>();
  /** The last of these verifications: they read the file, so there is one at a time. */
  #verified: Promise<unknown> = Promise.resolve();
  #term: number;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#term = options.term;
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

  /** From now on only results of this term count. */
  serve(term: number): void {
    this.#term = term;
  }

  #handle(member: Member, header: Exclude<FromWorker, { type: 'hello' | 'bye' }>, tensors: Tensors): void {
    const { counts, dispatcher, send, fetch } = this.#options;
    if (header.type === 'ping')
      send(member.peer, { type: 'pong', ...(dispatcher.rests(member.worker) && { rests: RESTS }) });
    else if (header.type === 'fetch') fetch(member.peer, header);
    else if (header.term !== this.#term) counts.resultsOfAnotherTerm++;
    else if (header.type === 'failure') this.#failure(member, header);
    else this.#results(member, header, tensors);
  }

  /** A worker that fails leaves. What it says about the data counts if this process sees it too. */
  #failure(member: Member, header: FailureMessage): void {
    const { mistake, local } = header;
    if (!mistake) {
      this.#dismiss(member, header, local ? 'local' : 'task');
      return;
    }
    if (this.#complaining.has(member)) return;
    this.#complaining.add(member);
    const { joins } = member;
    this.#verified = this.#verified
      .then(() => this.#complaint(member, header, joins))
      .finally(() => this.#complaining.delete(member));
  }

  /** `joins`: of the member when it complained. */
  async #complaint(member: Member, header: FailureMessage, joins: number): Promise<void> {
    const { registry, dispatcher, verify } = this.#options;
    const { unit, message } = header;
    if (member.joins !== joins || !dispatcher.isAwaited(member.worker, header)) return;
    const problem = await verify(unit, dispatcher.state('hashes')?.blocks.data as Uint8Array | undefined);
    if (!dispatcher.isAwaited(member.worker, header)) return;
    if (problem) dispatcher.abort(problem);
    else if (member.joins !== joins) return;
    else if (!registry.withholdFile(member, reasonOf(message))) this.#dismiss(member, header, 'data');
  }

  /** Sends a worker away. Ends the round if its unit has failed everywhere. */
  #dismiss(member: Member, header: FailureMessage, cause: UnitFailure['cause']): void {
    const { registry, dispatcher } = this.#options;
    const { worker, description } = member;
    const isHopeless = dispatcher.isAwaited(worker, header) && dispatcher.failed(worker, header, cause);
    registry.dismiss(member, reasonOf(header.message));
    if (!isHopeless) return;
    const text = indentContinuation(header.message);
    dispatcher.abort(
      cause === 'task'
        ? new Error(`worker ${worker}: ${text}`)
        : new FailedEverywhere(`no worker can go on: worker ${worker} on ${description.host}: ${text}`),
    );
  }

  #results(member: Member, header: ResultsMessage, tensors: Tensors): void {
    const { registry, dispatcher, usage, counts, roundListener } = this.#options;
    const { round, done, memory, gpuMemory = null } = header;
    // Before the results: the last one ends the round.
    const elapsed = dispatcher.elapsed();
    const parts = byPrefix(tensors);
    let accepted = 0;
    let isWrong = false;
    for (const [i, units] of done.entries()) {
      const verdict = dispatcher.result(member.worker, { round, units }, parts.get(String(i)) ?? {});
      if (verdict === 'accepted') accepted++;
      else counts[COUNTER_OF[verdict]]++;
      isWrong ||= verdict === 'wrong shape';
    }
    if (accepted) {
      registry.reportMemory(member, memory, gpuMemory);
      registry.recordContribution(member);
      const tasks = usage.add(member.worker, header, elapsed);
      roundListener?.results(member.label, header, tasks);
    }
    if (isWrong) registry.sendAway(member.worker);
  }
}

/** The first line of a failure. */
const reasonOf = (message: string) => oneLine(message.split('\n', 1)[0].slice(0, MOST_REASON));
