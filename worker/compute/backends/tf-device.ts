import { statisticsLength } from '../../../model/statistics.ts';
import { elements } from '../../../proto/tensors.ts';
import type { Backend, Device, Tensor } from './backend.ts';
import { chosenFactor, pairPlaces, squarePlaces, WIDEST_PHI } from './phi.ts';
import { type Attribute, type Binding, explained, type Id } from './tf-binding.ts';

interface Held extends Tensor {
  /** Of what it holds now; a variable's is read when it is wanted. */
  id: Id | null;
  variable?: Id;
  /** It is (1, x), which stands for φ(x) where that would be wide. */
  factors?: true;
}

/** Small integer tensors (places, shapes) are kept for the next call, up to this many. */
const KEPT_CONSTANTS = 4096;
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

/**
 * All verbs as TensorFlow's own operations, tensors on its device. Operations are called directly: a step of these small
 * nets is all dispatch, and one costs 3 to 8 µs here, where TensorFlow.js' engine adds 30.
 */
export function tfDevice(binding: Binding, identity: string, device?: Device): Backend {
  const { TF_FLOAT: FLOAT, TF_INT32: INT32 } = binding;
  const where = device?.name ?? 'TensorFlow';

  const type = (name: string, value = FLOAT): Attribute => ({ name, type: binding.TF_ATTR_TYPE, value });
  const bool = (name: string, value: boolean): Attribute => ({ name, type: binding.TF_ATTR_BOOL, value });
  const T = type('T');
  const ONE_TYPE = [T];
  const RESHAPE = [T, type('Tshape', INT32)];
  const REDUCE = [T, type('Tidx', INT32), bool('keep_dims', false)];
  const REDUCE_KEEP = [T, type('Tidx', INT32), bool('keep_dims', true)];
  const SLICE = [T, type('Index', INT32)];
  const ARGMAX = [T, type('Tidx', INT32), type('output_type', INT32)];
  const CONCAT = [T, type('Tidx', INT32), { name: 'N', type: binding.TF_ATTR_INT, value: 2 }];
  const TRANSPOSE = [T, type('Tperm', INT32)];
  const GATHER = [
    type('Tparams'),
    type('Tindices', INT32),
    type('Taxis', INT32),
    { name: 'batch_dims', type: binding.TF_ATTR_INT, value: 0 },
  ];
  const product = (a: boolean, b: boolean) => ({
    plain: [bool('transpose_a', a), bool('transpose_b', b), T],
    batched: [bool('adj_x', a), bool('adj_y', b), T],
  });
  const [NN, TN, NT] = [product(false, false), product(true, false), product(false, true)];
  const VALUE = [type('dtype')];
  const ADAM = [T, bool('use_locking', false), bool('use_nesterov', false)];

  let live = 0;
  const constants = new Map<string, Id>();
  const make = (shape: readonly number[], id: Id): Held => {
    live++;
    return { shape, id };
  };
  /** Ids made on the way to a result. */
  let scratch: Id[] = [];
  const outputs = (op: string, attributes: Attribute[], inputs: Id[], count: number): Id[] => {
    try {
      return binding.executeOp(op, attributes, inputs, count).map(({ id }) => id);
    } catch (error) {
      throw explained(error, where);
    }
  };
  /** An operation's one result, the caller's to keep; `step` is deleted by `result`. */
  const run = (op: string, attributes: Attribute[], ...inputs: Id[]): Id =>
    outputs(op, attributes, inputs, 1)[0];
  const step = (op: string, attributes: Attribute[], ...inputs: Id[]): Id => {
    const id = run(op, attributes, ...inputs);
    scratch.push(id);
    return id;
  };
  /** Ends a verb. */
  const result = (shape: readonly number[], id: Id): Held => {
    for (const used of scratch) binding.deleteTensor(used);
    scratch = [];
    if (constants.size > KEPT_CONSTANTS) {
      for (const old of constants.values()) binding.deleteTensor(old);
      constants.clear();
    }
    return make(shape, id);
  };
  const create = (values: Float32Array | Int32Array, shape: readonly number[]): Id => {
    try {
      return binding.createTensor(shape, values instanceof Int32Array ? INT32 : FLOAT, values);
    } catch (error) {
      throw explained(error, where);
    }
  };

  const constant = (key: string, made: () => Id): Id => {
    const known = constants.get(key);
    if (known !== undefined) return known;
    const id = made();
    constants.set(key, id);
    return id;
  };
  const ints = (...values: number[]) =>
    constant(`${values}`, () => create(Int32Array.from(values), [values.length]));
  const int = (value: number) => constant(`i${value}`, () => create(Int32Array.of(value), []));
  const scalar = (value: number) => constant(`f${value}`, () => create(Float32Array.of(value), []));

  const at = (tensor: Tensor): Id => {
    const held = tensor as Held;
    held.id ??= run('ReadVariableOp', VALUE, held.variable!);
    return held.id;
  };
  const reshaped = (id: Id, ...shape: number[]) => step('Reshape', RESHAPE, id, ints(...shape));
  /** The product of two matrices, or of each of K. */
  const multiply = (by: typeof run, a: Tensor, b: Tensor, { plain, batched }: typeof NN): Id =>
    a.shape.length === 2 ? by('MatMul', plain, at(a), at(b)) : by('BatchMatMulV2', batched, at(a), at(b));

  /** Variables by their shape, for the next tensors that Adam changes: a new one costs 0.1 ms. */
  const spare = new Map<string, Id[]>();
  let variables = 0;
  const sizeKey = (shape: readonly number[]) => shape.join();
  function asVariable(held: Held): Id {
    if (held.variable !== undefined) return held.variable;
    const { shape } = held;
    const variable =
      spare.get(sizeKey(shape))?.pop() ??
      run('VarHandleOp', [
        ...VALUE,
        { name: 'shape', type: binding.TF_ATTR_SHAPE, value: shape },
        { name: 'shared_name', type: binding.TF_ATTR_STRING, value: `dpmesh/${variables++}` },
        { name: 'container', type: binding.TF_ATTR_STRING, value: '' },
      ]);
    outputs('AssignVariableOp', VALUE, [variable, held.id!], 0);
    held.variable = variable;
    return variable;
  }

  function free(...tensors: Tensor[]): void {
    for (const tensor of tensors as Held[]) {
      live--;
      if (tensor.id !== null) binding.deleteTensor(tensor.id);
      if (tensor.variable !== undefined) {
        const key = sizeKey(tensor.shape);
        const others = spare.get(key);
        if (others) others.push(tensor.variable);
        else spare.set(key, [tensor.variable]);
      }
      for (const id of derived.get(tensor) ?? []) binding.deleteTensor(id);
      derived.delete(tensor);
    }
  }
  /** What was made of a tensor once and goes with it. */
  const derived = new Map<Tensor, Id[]>();

  const read = (id: Id): Float32Array => {
    try {
      return binding.tensorDataSync(id) as Float32Array;
    } catch (error) {
      throw explained(error, where);
    }
  };

  function affine(x: Tensor, w: Tensor, b: Tensor, relu: boolean): Tensor {
    const width = w.shape.at(-1)!;
    const z = multiply(step, x, w, NN);
    const by = relu ? step : run;
    const biased =
      x.shape.length === 2
        ? by('BiasAdd', ONE_TYPE, z, at(b))
        : by('AddV2', ONE_TYPE, z, reshaped(at(b), x.shape[0], 1, width));
    return result([...x.shape.slice(0, -1), width], relu ? run('Relu', ONE_TYPE, biased) : biased);
  }

  /** Σ over the last axis: [.., n] → [.., 1] or [..]. */
  const lastSum = (x: Id, keep: boolean) => step('Sum', keep ? REDUCE_KEEP : REDUCE, x, int(-1));
  const times = (x: Id, factor: number) => run('Mul', ONE_TYPE, x, scalar(factor));
  /** The sum of all entries times a factor, as a tensor [1]. */
  function total(x: Id, entries: number, factor: number): Id {
    return times(step('Sum', REDUCE, reshaped(x, 1, entries), int(1)), factor);
  }

  /** By log-softmax: TensorFlow's cross-entropy has no deterministic form on a GPU. */
  function klGradient(logits: Tensor, target: Tensor) {
    const entries = elements(logits.shape);
    const rows = logits.shape.at(-2)!;
    const t = at(target);
    const logR = step('LogSoftmax', ONE_TYPE, at(logits));
    const difference = step('Sub', ONE_TYPE, step('Exp', ONE_TYPE, logR), t);
    // A target of 0 adds nothing, also where log r is −∞.
    const divergence = step(
      'Sub',
      ONE_TYPE,
      step('Xlogy', ONE_TYPE, t, t),
      step('MulNoNan', ONE_TYPE, logR, t),
    );
    const loss = total(divergence, entries, logits.shape.at(-1)! / entries);
    return { gradient: result(logits.shape, times(difference, 1 / rows)), loss: make([1], loss) };
  }

  function costGradient(logits: Tensor, cost: Tensor) {
    const rows = logits.shape.at(-2)!;
    const all = elements(logits.shape) / logits.shape.at(-1)!;
    const r = step('Softmax', ONE_TYPE, at(logits));
    const mean = lastSum(step('Mul', ONE_TYPE, r, at(cost)), true);
    const share = step('Mul', ONE_TYPE, r, scalar(1 / rows));
    const gradient = run('Mul', ONE_TYPE, share, step('Sub', ONE_TYPE, at(cost), mean));
    const loss = total(mean, all, 1 / all);
    return { gradient: result(logits.shape, gradient), loss: make([1], loss) };
  }

  let powers = { key: '', ids: [] as Id[] };
  /** β₁ᵗ, β₂ᵗ, rate, β₁, β₂ and the ε that makes TensorFlow's form of Adam ours, for one step's calls. */
  function adamScalars(rate: number, count: number): Id[] {
    const key = `${rate}/${count}`;
    if (powers.key !== key) {
      for (const id of powers.ids) binding.deleteTensor(id);
      const second = BETA2 ** count;
      const values = [BETA1 ** count, second, rate, BETA1, BETA2, EPSILON * Math.sqrt(1 - second)];
      powers = { key, ids: values.map((value) => create(Float32Array.of(value), [])) };
    }
    return powers.ids;
  }

  /** (1, x), the left side of every φ. */
  const withOnes = (x: Tensor) => {
    const [rows] = x.shape;
    const ones = constant(`ones${rows}`, () => create(new Float32Array(rows).fill(1), [rows, 1]));
    return step('ConcatV2', CONCAT, ones, at(x), int(1));
  };
  /** φ(x) = (1,x)A ∘ (1,x)B with matrices of zeros and ones: exact, and two products are faster than columns one by one. */
  function phi(x: Tensor, diagonal: boolean): Id {
    const [, dim] = x.shape;
    const p = statisticsLength(dim, diagonal ? 'diag' : 'full');
    const y = withOnes(x);
    if (diagonal) return run('ConcatV2', CONCAT, y, step('Mul', ONE_TYPE, at(x), at(x)), int(1));
    const choice = (side: 0 | 1) =>
      constant(`choice${side}/${dim}`, () => create(chosenFactor(dim, side), [1 + dim, p]));
    const half = (side: 0 | 1) => step('MatMul', NN.plain, y, choice(side));
    return run('Mul', ONE_TYPE, half(0), half(1));
  }

  /** Θ [P,K] as [1+D, K·(1+D)]: for each cluster the matrix A with (1,x)A(1,x)ᵀ = φ(x)·θ, upper triangle. */
  function matrices(theta: Tensor, dim: number): Id {
    const known = derived.get(theta);
    if (known) return known[0];
    const [, k] = theta.shape;
    const side = 1 + dim;
    const places = constant(`square${dim}`, () => create(squarePlaces(dim), [side * side]));
    const zeros = constant(`zeros${k}`, () => create(new Float32Array(k), [1, k]));
    const padded = step('ConcatV2', CONCAT, at(theta), zeros, int(0));
    const square = reshaped(step('GatherV2', GATHER, padded, places, int(0)), side, side, k);
    const turned = step('Transpose', TRANSPOSE, square, ints(0, 2, 1));
    const made = run('Reshape', RESHAPE, turned, ints(side, k * side));
    derived.set(theta, [made]);
    return made;
  }

  return {
    identity,
    device,
    live: () => live,
    free,
    affine,
    klGradient,
    costGradient,
    upload: (values, shape) => make(shape, create(values.slice(), shape)),
    read: async (tensor) => read(at(tensor)),
    async argmaxRows(x) {
      const id = run('ArgMax', ARGMAX, at(x), int(-1));
      const found = binding.tensorDataSync(id) as Int32Array;
      binding.deleteTensor(id);
      return found;
    },
    gather(x, index, shape) {
      const places = create(Int32Array.from(index), shape ? shape.slice(0, -1) : [index.length]);
      scratch.push(places);
      const id = run('GatherV2', GATHER, at(x), places, int(0));
      return result(shape ?? [index.length, x.shape[1]], id);
    },
    slice(x, start, count) {
      const shape = [count, x.shape[1]];
      return result(shape, run('Slice', SLICE, at(x), ints(start, 0), ints(...shape)));
    },
    gram(a, b) {
      const shape = [...a.shape.slice(0, -2), a.shape.at(-1)!, b.shape.at(-1)!];
      return make(shape, multiply(run, a, b, TN));
    },
    columnSums(x) {
      const shape = [...x.shape.slice(0, -2), x.shape.at(-1)!];
      return make(shape, run('Sum', REDUCE, at(x), int(-2)));
    },
    reluGrad(g, w, h) {
      return result(h.shape, run('ReluGrad', ONE_TYPE, multiply(step, g, w, NT), at(h)));
    },
    adam(p, m, v, gradient, rate, count) {
      const changed = [p, m, v] as Held[];
      const inputs = changed.map(asVariable);
      // A value that somebody still holds would be copied before it is changed.
      for (const held of changed) {
        if (held.id !== null) binding.deleteTensor(held.id);
        held.id = null;
      }
      outputs('ResourceApplyAdam', ADAM, [...inputs, ...adamScalars(rate, count), at(gradient)], 0);
    },
    softmaxRows(logits, epsilon) {
      if (epsilon === 0) return make(logits.shape, run('Softmax', ONE_TYPE, at(logits)));
      const smoothed = step('AddV2', ONE_TYPE, step('Softmax', ONE_TYPE, at(logits)), scalar(epsilon));
      return result(logits.shape, times(smoothed, 1 / (1 + logits.shape.at(-1)! * epsilon)));
    },
    quadraticForm(x, theta, diagonal) {
      const [rows, dim] = x.shape;
      const [, k] = theta.shape;
      if (diagonal || dim <= WIDEST_PHI) {
        const features = phi(x, diagonal);
        scratch.push(features);
        return result([rows, k], run('MatMul', NN.plain, features, at(theta)));
      }
      const y = withOnes(x);
      const u = reshaped(step('MatMul', NN.plain, y, matrices(theta, dim)), rows, k, 1 + dim);
      const form = step('BatchMatMulV2', NN.batched, u, reshaped(y, rows, 1 + dim, 1));
      return result([rows, k], run('Reshape', RESHAPE, form, ints(rows, k)));
    },
    quadraticFeatures(x, diagonal) {
      const [rows, dim] = x.shape;
      const p = statisticsLength(dim, diagonal ? 'diag' : 'full');
      if (diagonal || dim <= WIDEST_PHI) return result([rows, p], phi(x, diagonal));
      const y = withOnes(x);
      scratch.pop();
      return Object.assign(result([rows, 1 + dim], y), { factors: true as const });
    },
    quadraticMoments(r, features) {
      const [rows, width] = features.shape;
      const k = r.shape[1];
      if (!(features as Held).factors) return make([k, width], run('MatMul', TN.plain, at(r), at(features)));
      const y = at(features);
      const weighed = step('Mul', ONE_TYPE, reshaped(at(r), rows, k, 1), reshaped(y, rows, 1, width));
      const sums = step('MatMul', TN.plain, reshaped(weighed, rows, k * width), y);
      const p = statisticsLength(width - 1, 'full');
      const places = constant(`pairs${width}`, () => create(pairPlaces(width - 1), [p]));
      const rowsOfSums = reshaped(sums, k, width * width);
      return result([k, p], run('GatherV2', GATHER, rowsOfSums, places, int(1)));
    },
    whitenedDensity(u, constantTerm) {
      const k = constantTerm.shape.at(-1)!;
      const lead = u.shape.slice(0, -1);
      const squares = reshaped(step('Square', ONE_TYPE, at(u)), ...lead, k, u.shape.at(-1)! / k);
      const half = times(lastSum(squares, false), -0.5);
      scratch.push(half);
      const c = lead.length === 1 ? at(constantTerm) : reshaped(at(constantTerm), lead[0], 1, k);
      return result([...lead, k], run('AddV2', ONE_TYPE, half, c));
    },
    squaredDistances(x, centres, metric) {
      const [k, rows, dim] = x.shape;
      const j = centres.shape[1];
      const squares = step(
        'SquaredDifference',
        ONE_TYPE,
        reshaped(at(x), k, rows, 1, dim),
        reshaped(at(centres), k, 1, j, dim),
      );
      const weighed = step(
        'MatMul',
        NN.plain,
        reshaped(squares, k * rows * j, dim),
        reshaped(at(metric), dim, 1),
      );
      return result([k, rows, j], run('Reshape', RESHAPE, weighed, ints(k, rows, j)));
    },
  };
}
