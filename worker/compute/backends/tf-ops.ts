import type { ComputeDevice } from './backend.ts';
import { type DeviceTensor, deviceBackend, KEPT_CONSTANTS, type Ops } from './device.ts';
import { type Attribute, type Binding, explained, type Id } from './tf-binding.ts';

/** The operations of device.ts by TensorFlow's native binding, called directly, past TensorFlow.js' engine. */

const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

interface TfTensor extends DeviceTensor<Id> {
  /** Since Adam has changed it. */
  variable?: Id;
}

/**
 * TensorFlow's operations, called directly: a step of small nets is dominated by dispatch, which costs 3 to 8 µs here; TensorFlow.js'
 * engine adds 30. `where`: the device's name, for errors.
 */
export function tfOps(binding: Binding, where: string): Ops<Id> {
  const { TF_FLOAT, TF_INT32, TF_ATTR_TYPE, TF_ATTR_BOOL, TF_ATTR_INT, TF_ATTR_SHAPE, TF_ATTR_STRING } =
    binding;
  const type = (name: string, value = TF_FLOAT): Attribute => ({ name, type: TF_ATTR_TYPE, value });
  const bool = (name: string, value: boolean): Attribute => ({ name, type: TF_ATTR_BOOL, value });
  const [T, index] = [type('T'), type('Tidx', TF_INT32)];
  const product = (a: boolean, b: boolean) => ({
    plain: [bool('transpose_a', a), bool('transpose_b', b), T],
    batched: [bool('adj_x', a), bool('adj_y', b), T],
  });
  /** The attributes of operations: types of numbers, and constant settings. */
  const attributes = {
    number: [T],
    products: { NN: product(false, false), TN: product(true, false), NT: product(false, true) },
    reshape: [T, type('Tshape', TF_INT32)],
    sum: [T, index, bool('keep_dims', false)],
    sumKeepingAxis: [T, index, bool('keep_dims', true)],
    slice: [T, type('Index', TF_INT32)],
    argMax: [T, index, type('output_type', TF_INT32)],
    concat: [T, index, { name: 'N', type: TF_ATTR_INT, value: 2 }],
    gather: [
      ...[type('Tparams'), type('Tindices', TF_INT32), type('Taxis', TF_INT32)],
      { name: 'batch_dims', type: TF_ATTR_INT, value: 0 },
    ],
    variable: [type('dtype')],
    adam: [T, bool('use_locking', false), bool('use_nesterov', false)],
  };

  const constants = new Map<string, Id>();
  /** Tensors to delete at the next `end`. */
  let temporaries: Id[] = [];
  const explaining = <R>(call: () => R): R => {
    try {
      return call();
    } catch (error) {
      throw explained(error, where);
    }
  };
  const execute = (operation: string, own: Attribute[], inputs: Id[], outputs: number): Id[] =>
    explaining(() => binding.executeOp(operation, own, inputs, outputs).map(({ id }) => id));
  /** A call with one output, which is temporary. */
  const step = (operation: string, own: Attribute[], ...inputs: Id[]): Id => {
    const [id] = execute(operation, own, inputs, 1);
    temporaries.push(id);
    return id;
  };

  /** Unused variables by their shape, for reuse: a new one costs 0.1 ms. */
  const spares = new Map<string, Id[]>();
  let variables = 0;
  const spareOf = (shape: readonly number[]): Id[] => {
    const key = shape.join();
    const spare = spares.get(key) ?? [];
    spares.set(key, spare);
    return spare;
  };
  /** Variables of the same name are identical. */
  const newVariable = (shape: readonly number[]): Id => {
    const own = [
      ...attributes.variable,
      { name: 'shape', type: TF_ATTR_SHAPE, value: shape },
      { name: 'shared_name', type: TF_ATTR_STRING, value: `dpmesh/${variables++}` },
      { name: 'container', type: TF_ATTR_STRING, value: '' },
    ];
    return execute('VarHandleOp', own, [], 1)[0];
  };
  const variableOf = (tensor: TfTensor): Id => {
    if (tensor.variable !== undefined) return tensor.variable;
    tensor.variable = spareOf(tensor.shape).pop() ?? newVariable(tensor.shape);
    execute('AssignVariableOp', attributes.variable, [tensor.variable, tensor.id!], 0);
    return tensor.variable;
  };
  let scalars = { key: '', ids: [] as Id[] };
  /** β₁ᵗ, β₂ᵗ, rate, β₁, β₂, ε, kept for a step's calls. ε is scaled, as TensorFlow corrects the bias after adding it. */
  const scalarsOf = (rate: number, count: number): Id[] => {
    const key = `${rate}/${count}`;
    if (scalars.key !== key) {
      for (const id of scalars.ids) ops.delete(id);
      const second = BETA2 ** count;
      const values = [BETA1 ** count, second, rate, BETA1, BETA2, EPSILON * Math.sqrt(1 - second)];
      scalars = { key, ids: values.map((value) => ops.create(Float32Array.of(value), [])) };
    }
    return scalars.ids;
  };

  const int = (value: number) => ops.constant(`i${value}`, () => [Int32Array.of(value), []]);
  const ints = (values: readonly number[]) =>
    ops.constant(`${values}`, () => [Int32Array.from(values), [values.length]]);
  const ops: Ops<Id> = {
    create: (values, shape) =>
      explaining(() =>
        binding.createTensor(shape, values instanceof Int32Array ? TF_INT32 : TF_FLOAT, values),
      ),
    temporary(values, shape) {
      const id = ops.create(values, shape);
      temporaries.push(id);
      return id;
    },
    constant(key, compute) {
      const id = constants.get(key) ?? ops.create(...compute());
      constants.set(key, id);
      return id;
    },
    read: (id) => explaining(() => binding.tensorDataSync(id)),
    delete: (id) => binding.deleteTensor(id),
    end(...results) {
      for (const id of temporaries) if (!results.includes(id)) ops.delete(id);
      temporaries = [];
      if (constants.size <= KEPT_CONSTANTS) return;
      for (const id of constants.values()) ops.delete(id);
      constants.clear();
    },
    run: (operation, ...inputs) => step(operation, attributes.number, ...inputs),
    matMul(a, b, transposition = 'NN', isStack = false) {
      const { plain, batched } = attributes.products[transposition];
      return isStack ? step('BatchMatMulV2', batched, a, b) : step('MatMul', plain, a, b);
    },
    reshape: (x, ...shape) => step('Reshape', attributes.reshape, x, ints(shape)),
    sum: (x, axis, keepAxis = false) =>
      step('Sum', keepAxis ? attributes.sumKeepingAxis : attributes.sum, x, int(axis)),
    argMax: (x) => step('ArgMax', attributes.argMax, x, int(-1)),
    slice: (x, begin, size) => step('Slice', attributes.slice, x, ints(begin), ints(size)),
    concat: (a, b, axis) => step('ConcatV2', attributes.concat, a, b, int(axis)),
    gather: (x, indices, axis) => step('GatherV2', attributes.gather, x, indices, int(axis)),
    adam(changed, gradient, rate, count) {
      const own = changed.map(variableOf);
      // TensorFlow would copy a value that is still referenced before it changes it.
      for (const tensor of changed) {
        if (tensor.id !== null) ops.delete(tensor.id);
        tensor.id = null;
      }
      const inputs = [...own, ...scalarsOf(rate, count), gradient];
      execute('ResourceApplyAdam', attributes.adam, inputs, 0);
    },
    valueAfterAdam: ({ variable }: TfTensor) =>
      execute('ReadVariableOp', attributes.variable, [variable!], 1)[0],
    released({ variable, shape }: TfTensor) {
      if (variable !== undefined) spareOf(shape).push(variable);
    },
  };
  return ops;
}

/** All operations as operations of TensorFlow. */
export const tfDevice = (binding: Binding, identity: string, device?: ComputeDevice) =>
  deviceBackend(identity, tfOps(binding, device?.name ?? 'TensorFlow'), device);
