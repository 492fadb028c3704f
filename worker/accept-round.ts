import type { Layout } from '../model/layout.ts';
import { unprefixed } from '../proto/codec.ts';
import { type FromCoordinator, MOST_STATES } from '../proto/messages.ts';
import { must } from '../proto/shapes.ts';
import type { TaskTable } from '../proto/tasks.ts';
import type { Tensors } from '../proto/tensors.ts';

/** What a round is checked against before any work, by whoever takes part in it. */

export type RoundMessage = Extract<FromCoordinator, { type: 'round' }>;

/** The states of whoever takes part in rounds: a worker, or a relay. `get` and `check` throw where there is none of that name. */
export interface RoundStates {
  put(name: string, version: number, tensors: Tensors): void;
  get(name: string): Tensors;
  /** Throws unless the state has this version. */
  check(name: string, version: number): void;
}

/** The newest states that came, so many at most. */
export function newestStates() {
  const states = new Map<string, { version: number; tensors: Tensors }>();
  const entry = (name: string) => {
    const state = states.get(name);
    if (!state) throw new Error(`state ${name} was never sent`);
    return state;
  };
  const version = (name: string) => entry(name).version;
  return {
    put(name: string, version: number, tensors: Tensors): void {
      if (!states.has(name) && states.size >= MOST_STATES) throw new Error(`more than ${MOST_STATES} states`);
      states.set(name, { version, tensors });
    },
    get: (name: string) => entry(name).tensors,
    version,
    check(name: string, wanted: number): void {
      if (version(name) !== wanted)
        throw new Error(`state ${name} is at version ${version(name)}, not ${wanted}`);
    },
    clear: () => states.clear(),
  } satisfies RoundStates & Record<string, unknown>;
}

/** Stores the states that come with a round, then checks the round before any work. Throws where it does not fit, mostly Mismatch. */
export function acceptRound(
  { statesOf, checkRound }: TaskTable,
  { states, layout }: { states: RoundStates; layout: Layout },
  header: RoundMessage,
  tensors: Tensors,
): void {
  for (const { name, version } of header.states) states.put(name, version, unprefixed(tensors, name));
  for (const { name, version } of header.uses) states.check(name, version);
  for (const task of header.tasks)
    for (const state of statesOf(task))
      must(
        header.uses.some(({ name }) => name === state),
        `${task.task} reads the state ${state}, which is not among those of the round`,
      );
  must(
    !header.sampled || header.sampled.length === header.units.length,
    'it has the rows of other samples than those of its units',
  );
  checkRound(layout, (name) => states.get(name), header);
}
