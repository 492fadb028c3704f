import { clusterCount } from '../model/gaussian/components.ts';
import { netShapes, netSize } from '../model/nets/net.ts';
import { centreWidth } from '../model/statistics.ts';
import {
  arrayName,
  arraysOf,
  type ModelSteps,
  type RowSteps,
  rowStepsOf,
  STEP_NAMES,
  type StepArray,
  type StepName,
  type StepValues,
} from '../model/steps.ts';

/** Whether the arrays of a model's steps fit each other: sizes that have the same name in the table of steps are the same. */

/** The arrays of a step do not fit each other or those of other steps. */
export class Misfit extends Error {
  constructor(readonly step: StepName) {
    super(`the arrays of the step ${step} do not fit`);
  }
}

/** What widths of layers say of a net. */
function layerSizes(widths: Int32Array, step: StepName): [first: number, last: number, params: number] {
  if (widths.length < 2 || !widths.every((width) => width > 0)) throw new Misfit(step);
  return [widths[0], widths.at(-1)!, netSize(netShapes([...widths], 0))];
}

/** The sizes of all arrays of a model by name. Throws Misfit where two arrays have different ones. */
function sizesOf(model: ModelSteps): Map<string, number> {
  const sizes = new Map<string, number>();
  const bind = (step: StepName, name: string, size: number) => {
    if (!Number.isInteger(size) || (sizes.get(name) ?? size) !== size) throw new Misfit(step);
    sizes.set(name, size);
  };
  const { encode, net, groups } = model;
  if (encode)
    for (const [i, size] of layerSizes(encode.widths, 'encode').entries())
      bind('encode', ['columns', 'input', 'encoderParams'][i], size);
  if (net)
    for (const [i, size] of layerSizes(net.widths, 'net').entries())
      bind('net', ['dim', 'components', 'netParams'][i], size);
  const arrays = STEP_NAMES.flatMap((step) =>
    model[step]
      ? arraysOf(step).map(([name, spec]) => ({
          ...{ step, shape: spec.shape },
          length: (model[step] as Record<string, StepValues>)[name].length,
        }))
      : [],
  );
  for (const { step, shape, length } of arrays)
    if (shape.length === 1 && typeof shape[0] === 'string') bind(step, shape[0], length);
  // Of a matrix one size is that of a list.
  for (const { step, shape, length } of arrays) {
    const open = shape.filter((size) => typeof size === 'string' && !sizes.has(size)) as string[];
    if (open.length > 1) throw new Misfit(step);
    const product = shape.reduce<number>(
      (all, size) => all * (typeof size === 'number' ? size : (sizes.get(size) ?? 1)),
      1,
    );
    if (open.length) bind(step, open[0], length && length / product);
    else if (product !== length) throw new Misfit(step);
  }
  const size = (name: string) => sizes.get(name) ?? 0;
  if (!encode) bind('log', 'columns', size('input'));
  bind('scale', 'wide', size('input') + size('atoms'));
  if (groups) bind('groups', 'clusters', clusterCount(size('components'), groups.cluster));
  else bind('distances', 'clusters', size('components'));
  if (model.mixture) bind('mixture', 'whitened', size('dim') * size('components'));
  const widths = [centreWidth(size('dim'), 'diag'), centreWidth(size('dim'), 'full')];
  if (sizes.has('centre') && !widths.includes(size('centre'))) throw new Misfit('distances');
  return sizes;
}

/** Are all numbers finite, and the indexes those of something? There may be no units of a map, else no array is empty. */
function isSound({ type, index, shape }: StepArray, values: StepValues, sizes: Map<string, number>) {
  if (!values.length) return shape[0] === 'units';
  if (type !== 'int32') return values.every(Number.isFinite);
  return index === undefined || values.every((value) => value >= 0 && value < (sizes.get(index) ?? 0));
}

/** The shapes of the arrays of a model by `arrayName`. Throws Misfit where its arrays do not fit each other, or have values that cannot be. */
export function shapesOf(model: ModelSteps): Record<string, number[]> {
  const sizes = sizesOf(model);
  const shapes: Record<string, number[]> = {};
  for (const step of STEP_NAMES)
    for (const [name, spec] of model[step] ? arraysOf(step) : []) {
      if (!isSound(spec, (model[step] as Record<string, StepValues>)[name], sizes)) throw new Misfit(step);
      shapes[arrayName(step, name)] = spec.shape.map((size) =>
        typeof size === 'number' ? size : sizes.get(size)!,
      );
    }
  return shapes;
}

/** Which of these steps, between raw rows of `input` numbers and their linear map, has arrays that do not fit; null: none. */
export function stepProblem(steps: RowSteps, input: number): StepName | null {
  const model = Object.fromEntries(rowStepsOf(steps)) as ModelSteps;
  // An array of as many columns as there are.
  const columns = { mean: new Float64Array(input), deviation: new Float64Array(input) };
  try {
    shapesOf({ ...model, moments: columns });
    return null;
  } catch (error) {
    if (error instanceof Misfit) return error.step;
    throw error;
  }
}
