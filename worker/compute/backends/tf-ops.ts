import { type Attribute, type Binding, explained, type Id } from './tf-binding.ts';

/** Constants (indices, shapes, scalars) that are kept for reuse, up to this many. */
const KEPT_CONSTANTS = 4096;

/** Which operand of a product is transposed: none, the left or the right one. */
export type Transposition = 'NN' | 'TN' | 'NT';

/**
 * TensorFlow's operations, called directly: a step of small nets is dominated by dispatch, which costs 3 to 8 µs here;
 * TensorFlow.js' engine adds 30. A backend's operation calls several of these; `end` deletes their outputs except its results.
 */
export class TfOps {
  readonly #binding: Binding;
  /** The device's name, for errors. */
  readonly #where: string;
  readonly #attributes: ReturnType<typeof attributesOf>;
  readonly #constants = new Map<string, Id>();
  /** Tensors to delete at the next `end`. */
  #temporaries: Id[] = [];

  constructor(binding: Binding, where: string) {
    this.#binding = binding;
    this.#where = where;
    this.#attributes = attributesOf(binding);
  }

  /** Ends an operation of the backend: deletes all temporary tensors but the results. */
  end(...results: Id[]): void {
    for (const id of this.#temporaries) if (!results.includes(id)) this.delete(id);
    this.#temporaries = [];
    if (this.#constants.size <= KEPT_CONSTANTS) return;
    for (const id of this.#constants.values()) this.delete(id);
    this.#constants.clear();
  }

  /** Excludes a tensor from deletion at `end`. */
  keep(id: Id): Id {
    this.#temporaries.splice(this.#temporaries.indexOf(id), 1);
    return id;
  }

  delete(id: Id): void {
    this.#binding.deleteTensor(id);
  }

  read(id: Id): Float32Array | Int32Array {
    return this.#explaining(() => this.#binding.tensorDataSync(id));
  }

  /** A tensor that `end` does not delete. It shares the memory of `values`. */
  create(values: Float32Array | Int32Array, shape: readonly number[]): Id {
    const { TF_INT32, TF_FLOAT } = this.#binding;
    const dtype = values instanceof Int32Array ? TF_INT32 : TF_FLOAT;
    return this.#explaining(() => this.#binding.createTensor(shape, dtype, values));
  }

  /** A tensor that `end` deletes. */
  temporary(values: Float32Array | Int32Array, shape: readonly number[]): Id {
    const id = this.create(values, shape);
    this.#temporaries.push(id);
    return id;
  }

  /** A tensor that is created once and cached by its key. */
  constant(key: string, compute: () => [values: Float32Array | Int32Array, shape: readonly number[]]): Id {
    const cached = this.#constants.get(key);
    if (cached !== undefined) return cached;
    const id = this.create(...compute());
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

  /** An operation whose only attribute is the type of its numbers. */
  run(operation: string, ...inputs: Id[]): Id {
    return this.#step(operation, this.#attributes.number, ...inputs);
  }

  /** x·factor. */
  times(x: Id, factor: number): Id {
    return this.run('Mul', x, this.scalar(factor));
  }

  matMul(a: Id, b: Id, transposition: Transposition = 'NN'): Id {
    return this.#step('MatMul', this.#attributes.products[transposition].plain, a, b);
  }

  /** The products of two stacks of matrices. */
  batchMatMul(a: Id, b: Id, transposition: Transposition = 'NN'): Id {
    return this.#step('BatchMatMulV2', this.#attributes.products[transposition].batched, a, b);
  }

  reshape(x: Id, ...shape: number[]): Id {
    return this.#step('Reshape', this.#attributes.reshape, x, this.#ints(shape));
  }

  /** Sums along an axis, which is removed, or kept with length 1. */
  sum(x: Id, axis: number, keepAxis = false): Id {
    const { sum, sumKeepingAxis } = this.#attributes;
    return this.#step('Sum', keepAxis ? sumKeepingAxis : sum, x, this.#int(axis));
  }

  /** Index of the largest entry of each row, int32. */
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

  gather(x: Id, indices: Id, axis: number): Id {
    return this.#step('GatherV2', this.#attributes.gather, x, indices, this.#int(axis));
  }

  /** A variable, which `end` does not delete. Variables of the same name are identical. */
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

  /** The value of a variable, as a tensor that `end` does not delete. */
  valueOf(variable: Id): Id {
    return this.#execute('ReadVariableOp', this.#attributes.variable, [variable], 1)[0];
  }

  /** Inputs: three variables, six scalars, the gradient. */
  applyAdam(inputs: Id[]): void {
    this.#execute('ResourceApplyAdam', this.#attributes.adam, inputs, 0);
  }

  /** A call with one output, which is temporary. */
  #step(operation: string, attributes: Attribute[], ...inputs: Id[]): Id {
    const [id] = this.#execute(operation, attributes, inputs, 1);
    this.#temporaries.push(id);
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

/** The attributes of each operation: types of numbers, and constant settings. */
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
