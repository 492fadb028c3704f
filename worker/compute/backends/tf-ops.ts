import { type Attribute, type Binding, explained, type Id } from './tf-binding.ts';

/** Small integer tensors (places, shapes) are kept for the next call, up to this many. */
const KEPT_CONSTANTS = 4096;

/** Which of a product's sides is transposed: none, the left or the right one. */
export type Sides = 'NN' | 'TN' | 'NT';

/**
 * TensorFlow's operations, called directly: a step of small nets is all dispatch, and one costs 3 to 8 µs here, where
 * TensorFlow.js' engine adds 30. What calls give is deleted at the `end` of the verb that they serve, but for its results.
 */
export class TfOps {
  readonly #binding: Binding;
  /** The device's name, for errors. */
  readonly #where: string;
  readonly #attributes: ReturnType<typeof attributesOf>;
  readonly #constants = new Map<string, Id>();
  /** What the verb at hand has made. */
  #made: Id[] = [];

  constructor(binding: Binding, where: string) {
    this.#binding = binding;
    this.#where = where;
    this.#attributes = attributesOf(binding);
  }

  /** Ends a verb: deletes all that was made on the way to these. */
  end(...results: Id[]): void {
    for (const id of this.#made) if (!results.includes(id)) this.delete(id);
    this.#made = [];
    if (this.#constants.size <= KEPT_CONSTANTS) return;
    for (const id of this.#constants.values()) this.delete(id);
    this.#constants.clear();
  }

  /** The same id, which outlives the verb that made it. */
  keep(id: Id): Id {
    this.#made.splice(this.#made.indexOf(id), 1);
    return id;
  }

  delete(id: Id): void {
    this.#binding.deleteTensor(id);
  }

  read(id: Id): Float32Array | Int32Array {
    return this.#explaining(() => this.#binding.tensorDataSync(id));
  }

  /** A tensor that outlives the verb. It shares the memory of `values`. */
  create(values: Float32Array | Int32Array, shape: readonly number[]): Id {
    const { TF_INT32, TF_FLOAT } = this.#binding;
    const dtype = values instanceof Int32Array ? TF_INT32 : TF_FLOAT;
    return this.#explaining(() => this.#binding.createTensor(shape, dtype, values));
  }

  /** A tensor for this verb only. */
  temporary(values: Float32Array | Int32Array, shape: readonly number[]): Id {
    const id = this.create(values, shape);
    this.#made.push(id);
    return id;
  }

  /** A tensor that is made once and found again by its key. */
  constant(key: string, made: () => [values: Float32Array | Int32Array, shape: readonly number[]]): Id {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const id = this.create(...made());
    this.#constants.set(key, id);
    return id;
  }

  scalar(value: number): Id {
    return this.constant(`f${value}`, () => [Float32Array.of(value), []]);
  }

  #int(value: number): Id {
    return this.constant(`i${value}`, () => [Int32Array.of(value), []]);
  }

  #ints(values: readonly number[]): Id {
    return this.constant(`${values}`, () => [Int32Array.from(values), [values.length]]);
  }

  /** An operation with no attribute but the type of its numbers. */
  run(operation: string, ...inputs: Id[]): Id {
    return this.#step(operation, this.#attributes.number, ...inputs);
  }

  /** x·factor. */
  times(x: Id, factor: number): Id {
    return this.run('Mul', x, this.scalar(factor));
  }

  matMul(a: Id, b: Id, sides: Sides = 'NN'): Id {
    return this.#step('MatMul', this.#attributes.products[sides].plain, a, b);
  }

  /** Products of as many matrices as there are in either stack. */
  batchMatMul(a: Id, b: Id, sides: Sides = 'NN'): Id {
    return this.#step('BatchMatMulV2', this.#attributes.products[sides].batched, a, b);
  }

  reshape(x: Id, ...shape: number[]): Id {
    return this.#step('Reshape', this.#attributes.reshape, x, this.#ints(shape));
  }

  /** Sums along an axis, which stays as one of length 1 or goes. */
  sum(x: Id, axis: number, keepAxis = false): Id {
    const { sum, sumKeepingAxis } = this.#attributes;
    return this.#step('Sum', keepAxis ? sumKeepingAxis : sum, x, this.#int(axis));
  }

  /** Of each row, as int32. */
  argMax(x: Id): Id {
    return this.#step('ArgMax', this.#attributes.argMax, x, this.#int(-1));
  }

  slice(x: Id, begin: number[], size: number[]): Id {
    return this.#step('Slice', this.#attributes.slice, x, this.#ints(begin), this.#ints(size));
  }

  concat(a: Id, b: Id, axis: number): Id {
    return this.#step('ConcatV2', this.#attributes.concat, a, b, this.#int(axis));
  }

  transpose(x: Id, ...axes: number[]): Id {
    return this.#step('Transpose', this.#attributes.transpose, x, this.#ints(axes));
  }

  gather(x: Id, places: Id, axis: number): Id {
    return this.#step('GatherV2', this.#attributes.gather, x, places, this.#int(axis));
  }

  /** A variable, which outlives the verb. Those of one name are the same. */
  variable(name: string, shape: readonly number[]): Id {
    const { TF_ATTR_SHAPE, TF_ATTR_STRING } = this.#binding;
    const attributes = [
      ...this.#attributes.variable,
      { name: 'shape', type: TF_ATTR_SHAPE, value: shape },
      { name: 'shared_name', type: TF_ATTR_STRING, value: name },
      { name: 'container', type: TF_ATTR_STRING, value: '' },
    ];
    return this.#execute('VarHandleOp', attributes, [], 1)[0];
  }

  assign(variable: Id, value: Id): void {
    this.#execute('AssignVariableOp', this.#attributes.variable, [variable, value], 0);
  }

  /** What a variable holds, to outlive the verb. */
  valueOf(variable: Id): Id {
    return this.#execute('ReadVariableOp', this.#attributes.variable, [variable], 1)[0];
  }

  /** Inputs: three variables, six scalars, the gradient. */
  applyAdam(inputs: Id[]): void {
    this.#execute('ResourceApplyAdam', this.#attributes.adam, inputs, 0);
  }

  /** A call whose one result belongs to the verb at hand. */
  #step(operation: string, attributes: Attribute[], ...inputs: Id[]): Id {
    const [id] = this.#execute(operation, attributes, inputs, 1);
    this.#made.push(id);
    return id;
  }

  #execute(operation: string, attributes: Attribute[], inputs: Id[], outputs: number): Id[] {
    return this.#explaining(() =>
      this.#binding.executeOp(operation, attributes, inputs, outputs).map(({ id }) => id),
    );
  }

  #explaining<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw explained(error, this.#where);
    }
  }
}

/** The attributes of each operation: which types of numbers it is for, and what else is fixed. */
function attributesOf(binding: Binding) {
  const { TF_FLOAT, TF_INT32, TF_ATTR_TYPE, TF_ATTR_BOOL, TF_ATTR_INT } = binding;
  const type = (name: string, value = TF_FLOAT): Attribute => ({ name, type: TF_ATTR_TYPE, value });
  const bool = (name: string, value: boolean): Attribute => ({ name, type: TF_ATTR_BOOL, value });
  const int = (name: string, value: number): Attribute => ({ name, type: TF_ATTR_INT, value });
  const T = type('T');
  const index = type('Tidx', TF_INT32);
  const product = (a: boolean, b: boolean) => ({
    plain: [bool('transpose_a', a), bool('transpose_b', b), T],
    batched: [bool('adj_x', a), bool('adj_y', b), T],
  });
  return {
    number: [T],
    products: { NN: product(false, false), TN: product(true, false), NT: product(false, true) },
    reshape: [T, type('Tshape', TF_INT32)],
    sum: [T, index, bool('keep_dims', false)],
    sumKeepingAxis: [T, index, bool('keep_dims', true)],
    slice: [T, type('Index', TF_INT32)],
    argMax: [T, index, type('output_type', TF_INT32)],
    concat: [T, index, int('N', 2)],
    transpose: [T, type('Tperm', TF_INT32)],
    gather: [type('Tparams'), type('Tindices', TF_INT32), type('Taxis', TF_INT32), int('batch_dims', 0)],
    variable: [type('dtype')],
    adam: [T, bool('use_locking', false), bool('use_nesterov', false)],
  };
}
