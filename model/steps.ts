/**
 * A model is a list of steps, from the columns of a raw row to its cluster, its distance and its place on the map. This table has of each step,
 * in the order in which they are applied, its settings and its arrays, with their types and their sizes by name. Messages, checkpoints, the
 * model's file (run/model-file.ts) and their checks follow from it. What a step does to rows, in numbers and as operators of ONNX, lies in
 * data/steps/, its order in data/transform.ts; the nets and the mixture are applied on a backend (run/passes/labeller.ts, onnx-model.ts).
 */

export interface StepArray {
  type: 'int32' | 'float32' | 'float64';
  /** Sizes by name: `input`, the numbers of a row after the encoder, `dim`, those of the mixture, or numbers of this step's own. */
  shape: readonly (string | number)[];
  /** The numbers are indexes of so many things. */
  index?: string;
}

const floats = <const S extends StepArray['shape']>(...shape: S) => ({ type: 'float32' as const, shape });
const doubles = (...shape: StepArray['shape']) => ({ type: 'float64' as const, shape });
const integers = (size: string, index?: string) => ({
  ...{ type: 'int32' as const, shape: [size] },
  ...(index && { index }),
});

/** Quantiles of the distances of a cluster's rows. */
const QUANTILES = 1001;

/** What may be done to raw rows beside their linear map. */
const ROW_STEPS = {
  /** In training only: rows are spread over the cells of the grid that their values are on. Of each column the step of it, 0 for none. */
  grid: { size: floats('input') },
  /** Rows beyond limits are outliers, and are moved to where rows of the training sample are. */
  fences: {
    columns: integers('fences', 'input'),
    low: floats('fences'),
    high: floats('fences'),
    least: floats('fences'),
    most: floats('fences'),
  },
  /** Cells with these values are unknown, and are filled from whole rows. */
  fill: {
    columns: integers('fills', 'input'),
    values: floats('fills'),
    donors: floats('donors', 'input'),
  },
  /** Columns are moved and scaled before rows are scaled to unit length. */
  before: { factor: floats('input'), shift: floats('input') },
  /** A further column each says whether a column has another value than this one. */
  atoms: { columns: integers('atoms', 'input'), values: floats('atoms') },
} satisfies Record<string, Record<string, StepArray>>;

const STEPS = {
  /** The means and standard deviations of the columns, by which rows whose columns are in another order are recognized. */
  moments: { mean: doubles('input'), deviation: doubles('input') },
  /** Columns of which the logarithm is taken. */
  log: { columns: integers('logged', 'columns') },
  /** Columns are moved and scaled, and encoded: the layers of the encoder up to the code. */
  encode: {
    factor: floats('columns'),
    shift: floats('columns'),
    widths: integers('encoderLayers'),
    params: floats('encoderParams'),
  },
  ...ROW_STEPS,
  /** Rows are scaled to unit length. */
  unit: {},
  /** y = x[columns]·factor + shift, */
  scale: { columns: integers('dim', 'wide'), factor: floats('dim'), shift: floats('dim') },
  /** or y = x·weights + bias: the input of the net, with mean 0 and variance 1. */
  project: { weights: floats('input', 'dim'), bias: floats('dim') },
  /** The coordinates of the mixture: y·scale; `offset` is the mean of the rows in them. */
  coordinates: { scale: doubles('dim'), offset: doubles('dim') },
  /** The clustering net labels rows, */
  net: { widths: integers('layers'), params: floats('netParams') },
  /** or the mixture: constant_k − ½‖u_k‖² with u = y·weights + bias. */
  mixture: { weights: floats('dim', 'whitened'), bias: floats('whitened'), constant: floats('components') },
  /** The cluster of each component, where some clusters have several. */
  groups: { cluster: integers('components', 'clusters') },
  /** The weight of the background and the logarithm of its density: rows that fit it better than any cluster are noise. */
  background: { weight: doubles(1), logDensity: doubles(1) },
  /** μ and R of each component, with Σ⁻¹ = RᵀR, from which distances are measured, and the quantiles of the distances of a cluster's rows. */
  distances: { centres: floats('components', 'centre'), quantiles: floats('clusters', QUANTILES) },
  /** log densities are log Σ exp of the outputs of the mixture plus this offset, */
  densityOffset: { offset: doubles(1) },
  /** or those of these Gaussians, as in `distances`. */
  densities: { constants: doubles('components'), rows: floats('components', 'centre') },
  /** Places on the map: the softmax of (z·u − ½‖u‖²) over units u, with z = y·axes + shift. */
  map: {
    axes: floats('dim', 'axes'),
    shift: floats('axes'),
    units: floats('units', 'axes'),
    places: floats('units', 2),
  },
} satisfies Record<string, Record<string, StepArray>>;

type Table = typeof STEPS;
export type StepName = keyof Table;
export const STEP_NAMES = Object.keys(STEPS) as StepName[];
type RowStep = keyof typeof ROW_STEPS;
const ROW_STEP_NAMES = Object.keys(ROW_STEPS) as RowStep[];

type ArrayOf<A> = A extends { type: 'int32' }
  ? Int32Array
  : A extends { type: 'float64' }
    ? Float64Array
    : Float32Array;
export type StepValues = Int32Array | Float32Array | Float64Array;

/** The arrays of a step, row-major. */
export type StepValue<S extends StepName> = { readonly [A in keyof Table[S]]: ArrayOf<Table[S][A]> };

/** The steps of a model. */
export type ModelSteps = { readonly [S in StepName]?: StepValue<S> };
/** Those between raw rows and their linear map. */
export type RowSteps = { readonly [S in RowStep]?: StepValue<S> | null };

/** The arrays of a step, as the table has them. */
export const arraysOf = (name: StepName): [string, StepArray][] => Object.entries(STEPS[name]);

/** An array by the names of its step and of itself, as messages and files have it. */
export const arrayName = (step: StepName, name: string) => `${step}.${name}`;

/** The row steps of which one of these tensors is an array. */
export const rowStepsAmong = (tensors: object): RowStep[] =>
  ROW_STEP_NAMES.filter((step) => arraysOf(step).some(([name]) => arrayName(step, name) in tensors));

/** The row steps that there are, with their arrays. */
export const rowStepsOf = (steps: RowSteps): [RowStep, Record<string, StepValues>][] =>
  ROW_STEP_NAMES.flatMap((name) => (steps[name] ? [[name, steps[name] as Record<string, StepValues>]] : []));
