import type { Layout } from '../model/layout.ts';
import { MAX_MESSAGE } from '../proto/codec.ts';
import { dtypeOf, type TensorDtype, type Tensors } from '../proto/tensors.ts';
import type { States } from './states.ts';

/** What checks of states are made of: each throws InvalidRound if it does not hold. */

/** A round that does not fit its states or units. No coordinator of this version sends one. */
export class InvalidRound extends Error {
  override name = 'InvalidRound';
}

export function must(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new InvalidRound(problem);
}

/** A result of `length` float64 numbers must fit in a message. */
export function fits(length: number): void {
  must(length * 8 <= MAX_MESSAGE, 'its result would not fit in a message');
}

export function tensor(tensors: Tensors, state: string, name: string, dtype: TensorDtype) {
  const value = tensors[name];
  must(value !== undefined && dtypeOf(value.data) === dtype, `${state}: ${name} is missing or not ${dtype}`);
  return value;
}

/** The tensor must have exactly this shape. */
export function array(
  states: States,
  state: string,
  name: string,
  dtype: TensorDtype,
  shape: number[],
): void {
  const actual = tensor(states.get(state), state, name, dtype).shape;
  const same = actual.length === shape.length && shape.every((size, i) => actual[i] === size);
  must(same, `${state}: ${name} has shape [${actual}], not [${shape}]`);
}

/** The number of columns in a state's list of them, which must exist. */
export function columnsIn(states: States, state: string, name: string, layout: Layout): number {
  const columns = tensor(states.get(state), state, name, 'int32').data;
  must(
    columns.every((column) => column >= 0 && column < layout.dim),
    `${state}: there is no such column`,
  );
  return columns.length;
}
