/**
 * What may be done to raw rows beside their linear map, step by step, in arrays: of each its type, the sizes that it has, and its name as a
 * tensor. Messages, checkpoints, files and their checks follow from this table. What a step does to rows lies in data/ (outlier-bounds.ts,
 * fill.ts, transform.ts), and as operators in run/passes/onnx-model.ts.
 */

interface StepArray {
  tensor: string;
  type: 'int32' | 'float32';
  /** Sizes by name: `input`, the columns of a raw row, or numbers of this step's own. */
  shape: readonly string[];
}

/** Numbers of columns of a raw row. */
const columns = (tensor: string, size: string) => ({ tensor, type: 'int32' as const, shape: [size] });
const floats = (tensor: string, ...shape: string[]) => ({ tensor, type: 'float32' as const, shape });

const STEPS = {
  /** Columns are moved and scaled before rows are scaled to unit length. */
  before: { factor: floats('factor', 'input'), shift: floats('shift', 'input') },
  /** In training only: rows are spread over the cells of the grid that their values are on. Of each column the step of it, 0 for none. */
  grid: { size: floats('grid', 'input') },
  /** A further column each says whether a column has another value than this one. */
  atoms: { columns: columns('atomColumns', 'atoms'), values: floats('atoms', 'atoms') },
  /** Cells with these values are unknown, and are filled from whole rows. */
  fill: {
    columns: columns('fillColumns', 'fills'),
    values: floats('fillValues', 'fills'),
    donors: floats('donors', 'donors', 'input'),
  },
  /** Rows beyond limits are outliers, and are moved to where rows of the training sample are. */
  fences: {
    columns: columns('fenced', 'fences'),
    low: floats('low', 'fences'),
    high: floats('high', 'fences'),
    least: floats('least', 'fences'),
    most: floats('most', 'fences'),
  },
} satisfies Record<string, Record<string, StepArray>>;

export type StepName = keyof typeof STEPS;
export const STEP_NAMES = Object.keys(STEPS) as StepName[];

/** The arrays of a step. */
export type StepValue<S extends StepName> = {
  readonly [A in keyof (typeof STEPS)[S]]: (typeof STEPS)[S][A] extends { type: 'int32' }
    ? Int32Array
    : Float32Array;
};

/** The steps that there are. */
export type Steps = { readonly [S in StepName]?: StepValue<S> | null };

/** The arrays of a step, as the table has them. */
export const arraysOf = (name: StepName): [string, StepArray][] => Object.entries(STEPS[name]);

/** The steps of which one of these tensors is an array. */
export const stepsAmong = (tensors: object): StepName[] =>
  STEP_NAMES.filter((name) => arraysOf(name).some(([, { tensor }]) => tensor in tensors));

/** The arrays of a step as lists of numbers, in JSON files. */
export const savedStep = <S extends StepName>(step: StepValue<S>) =>
  Object.fromEntries(
    Object.entries<Int32Array | Float32Array>(step).map(([array, values]) => [array, [...values]]),
  ) as { [A in keyof StepValue<S>]: number[] };

/** The reverse. */
export const savedStepFrom = <S extends StepName>(
  name: S,
  saved: { readonly [A in keyof StepValue<S>]: readonly number[] },
): StepValue<S> =>
  Object.fromEntries(
    arraysOf(name).map(([array, { type }]) => {
      const values = saved[array as keyof StepValue<S>];
      return [array, type === 'int32' ? Int32Array.from(values) : Float32Array.from(values)];
    }),
  ) as StepValue<S>;

/** What is wrong with steps of rows of `input` numbers, such as `atoms`, whose arrays have to fit each other; null: nothing. */
export function stepProblem(steps: Steps, input: number): StepName | null {
  for (const name of STEP_NAMES) {
    const step = steps[name] as Record<string, Int32Array | Float32Array> | null | undefined;
    if (!step) continue;
    const sizes: Record<string, number> = { input };
    for (const [array, { type, shape }] of arraysOf(name)) {
      const values = step[array];
      const inner = shape.length > 1 ? input : 1;
      const fits = values.length === (sizes[shape[0]] ??= values.length / inner) * inner;
      const isValid = (value: number) =>
        type === 'int32' ? value >= 0 && value < input : Number.isFinite(value);
      if (!(fits && values.length && Number.isInteger(sizes[shape[0]]) && values.every(isValid))) return name;
    }
  }
  return null;
}
