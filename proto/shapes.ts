import { elementCount } from '../model/arrays.ts';
import {
  bytesIn,
  dtypeOf,
  labelDtype,
  type Nd,
  type TensorDtype,
  type Tensors,
  type TypedArray,
} from './tensors.ts';

/**
 * What tensors have to look like: their type, their shape by named sizes such as K and D, and the range of their values. States are
 * checked by workers before any work, since kernels compute addresses from sizes; results by the coordinator before they count.
 */

/** A round that does not fit its states or units, or a result that does not fit its task. */
export class Mismatch extends Error {
  override name = 'Mismatch';
}

export function must(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Mismatch(problem);
}

/** Named sizes: of the layout, the states, the task's parameters and the unit. */
export type Sizes = Record<string, number>;

/** A number, a name of a size, or a sum of products of these, such as `K+1` or `2*D`. */
export type Dim = number | string;

/** Which values a tensor may have. */
export interface Values {
  /** As the documentation of the wire says it. */
  text: string;
  hold(values: TypedArray, sizes: Sizes): boolean;
}

export interface TensorSpec {
  /** `label`: the narrowest type for K labels. */
  dtype: TensorDtype | 'label';
  shape: Dim[];
  /** Undefined: finite in results, anything in states. */
  values?: Values;
}

export type TensorSpecs = Record<string, TensorSpec>;

const specOf =
  (dtype: TensorSpec['dtype']) =>
  (shape: Dim[], values?: Values): TensorSpec => ({ dtype, shape, values });

export const float64 = specOf('float64');
export const float32 = specOf('float32');
export const int32 = specOf('int32');
export const uint32 = specOf('uint32');
export const uint8 = specOf('uint8');
export const label = specOf('label');

const finite: Values = { text: '', hold: (values) => every(values, Number.isFinite) };
/** Also NaN and ±∞: of nets, whose training may diverge, and of rows as they are in a file. */
export const anyNumbers: Values = { text: 'any', hold: () => true };
/** ±∞ where there are no rows. */
export const extreme: Values = {
  text: 'not NaN',
  hold: (values) => every(values, (value) => !Number.isNaN(value)),
};

/** Finite numbers that are not negative. */
export const positiveOrZero: Values = {
  text: '≥ 0',
  hold: (values) => every(values, (value) => value >= 0 && value < Infinity),
};

/** Numbers from `least` to `most`. */
export const between = (least: Dim, most: Dim): Values => ({
  text: `${least} … ${most}`,
  hold(values, sizes) {
    const [low, high] = [sizeOf(least, sizes), sizeOf(most, sizes)];
    return every(values, (value) => value >= low && value <= high);
  },
});

/** Whole numbers from `least` to below `end`. */
export const whole = (least: Dim, end: Dim): Values => ({
  text: least === 0 ? `whole, below ${end}` : `whole, from ${least} to below ${end}`,
  hold(values, sizes) {
    const [low, high] = [sizeOf(least, sizes), sizeOf(end, sizes)];
    return every(values, (value) => value >= low && value < high && Number.isInteger(value));
  },
});

/** Indices below a size. */
export const index = (end: Dim) => whole(0, end);
/** Numbers of the rows that a result is about. */
export const counts: Values = { ...whole(0, 'n+1'), text: 'numbers of rows' };

/** Starts of lists that lie one after the other and end at `end`. */
export const ascending = (end: Dim): Values => ({
  text: `ascending from 0 to ${end}`,
  hold(values, sizes) {
    let isSorted = values[0] === 0 && values[values.length - 1] === sizeOf(end, sizes);
    for (let i = 1; i < values.length; i++) if (values[i] < values[i - 1]) isSorted = false;
    return isSorted;
  },
});

function every(values: TypedArray, holds: (value: number) => boolean): boolean {
  for (let i = 0; i < values.length; i++) if (!holds(values[i])) return false;
  return true;
}

/** The value of a dimension; NaN if a name in it has no size. */
export function sizeOf(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  const factor = (text: string) => sizes[text] ?? (text === '' ? Number.NaN : Number(text));
  return dim
    .split('+')
    .reduce((sum, term) => sum + term.split('*').reduce((product, text) => product * factor(text), 1), 0);
}

/** `G`: clusters, where these are not the K components of a mixture. */
const dtypeIn = ({ dtype }: TensorSpec, { K, G = K }: Sizes) => (dtype === 'label' ? labelDtype(G) : dtype);

/** The tensor of this name, which must have this type. */
export function tensorOf(tensors: Tensors, state: string, name: string, dtype: TensorDtype): Nd {
  const value = tensors[name];
  must(value !== undefined && dtypeOf(value.data) === dtype, `${state}: ${name} is missing or not ${dtype}`);
  return value;
}

/**
 * Checks a state's tensors against their specs. Sizes that are not known yet are taken from them and added to `sizes`. With `values`,
 * ranges are checked too. Throws Mismatch.
 */
export function bind(
  state: string,
  tensors: Tensors,
  specs: TensorSpecs,
  sizes: Sizes,
  values: boolean,
): void {
  for (const [name, spec] of Object.entries(specs)) {
    const { shape, data } = tensorOf(tensors, state, name, dtypeIn(spec, sizes));
    if (shape.length === spec.shape.length)
      for (const [i, dim] of spec.shape.entries())
        if (typeof dim === 'string' && Number.isNaN(sizeOf(dim, sizes))) sizes[dim] = shape[i];
    const wanted = spec.shape.map((dim) => sizeOf(dim, sizes));
    const fits = shape.length === wanted.length && shape.every((size, i) => size === wanted[i]);
    must(
      fits && data.length === elementCount(shape),
      `${state}: ${name} has shape [${shape}], not [${wanted}]`,
    );
    if (values && spec.values)
      must(spec.values.hold(data, sizes), `${state}: ${name} is not ${spec.values.text}`);
  }
}

/**
 * What is wrong with a result; null if nothing is. Only the numbers of elements count, not their shapes, which sums have lost. One
 * dimension of a spec may have no size but one of the `limits`: then it is as long as the tensor, and at most that.
 */
export function problemWith(result: Tensors, specs: TensorSpecs, sizes: Sizes, limits: Sizes): string | null {
  const own = { ...sizes };
  for (const name of Object.keys(result)) if (!Object.hasOwn(specs, name)) return `${name} is not asked for`;
  for (const [name, spec] of Object.entries(specs)) {
    if (!Object.hasOwn(result, name)) return `${name} is missing`;
    const { data } = result[name];
    const dtype = dtypeIn(spec, own);
    if (dtypeOf(data) !== dtype) return `${name} is not ${dtype}`;
    const free = spec.shape.find((dim) => Number.isNaN(sizeOf(dim, own)));
    if (free !== undefined) {
      const others = spec.shape.filter((dim) => dim !== free).map((dim) => sizeOf(dim, own));
      own[free] = data.length / elementCount(others);
      if (!(Number.isInteger(own[free]) && own[free] <= limits[free]))
        return `${name} has ${data.length} elements, of at most ${limits[free]} rows`;
    }
    const length = elementCount(spec.shape.map((dim) => sizeOf(dim, own)));
    if (data.length !== length) return `${name} has ${data.length} elements, not ${length}`;
    const range = spec.values ?? finite;
    if (!range.hold(data, own)) return `${name} is not ${range.text || 'finite'}`;
  }
  return null;
}

/** Bytes of tensors of these specs; dimensions without a size are as long as their limit. */
export function bytesOfSpecs(specs: TensorSpecs, sizes: Sizes, limits: Sizes): number {
  const most = { ...limits, ...sizes };
  let bytes = 0;
  for (const spec of Object.values(specs))
    bytes += bytesIn(
      dtypeIn(spec, sizes),
      spec.shape.map((dim) => sizeOf(dim, most)),
    );
  return bytes;
}
