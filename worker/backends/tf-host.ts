import { elements } from '../../proto/tensors.ts';
import { arena } from './arena.ts';
import type { Backend, Tensor } from './backend.ts';
import { type HostTensor, hostBackend } from './host.ts';
import * as loops from './loops.ts';
import { WIDEST_PHI } from './phi.ts';
import type { Attribute, Binding, Id } from './tf-binding.ts';
import { tfDevice } from './tf-device.ts';

/**
 * TensorFlow on the CPU, where its memory is ours: products are TensorFlow's, which is five times as fast as WASM; the
 * rest are plain loops, which at the sizes of a step cost less than calls of its operations.
 */
export function tfHost(binding: Binding, identity: string): Backend {
  const { TF_FLOAT: FLOAT } = binding;
  const memory = arena();
  const view = (tensor: Tensor) => memory.view((tensor as HostTensor).address, elements(tensor.shape));
  const flag = (name: string, value: boolean): Attribute => ({ name, type: binding.TF_ATTR_BOOL, value });
  const T: Attribute = { name: 'T', type: binding.TF_ATTR_TYPE, value: FLOAT };
  const turned = (a: boolean, b: boolean) => ({
    plain: [flag('transpose_a', a), flag('transpose_b', b), T],
    batched: [flag('adj_x', a), flag('adj_y', b), T],
  });
  const [NN, TN, NT, TT] = [
    turned(false, false),
    turned(true, false),
    turned(false, true),
    turned(true, true),
  ];

  /** The product of two matrices, or of each of K, as an array of its own. */
  function multiply(a: Id, b: Id, batched: boolean, by: typeof NN): Float32Array {
    const [name, attributes] = batched
      ? (['BatchMatMulV2', by.batched] as const)
      : (['MatMul', by.plain] as const);
    const [{ id }] = binding.executeOp(name, attributes, [a, b], 1);
    const values = binding.tensorDataSync(id) as Float32Array;
    for (const used of [a, b, id]) binding.deleteTensor(used);
    return values;
  }
  // The binding shares the arena's memory while a product lasts.
  const share = (tensor: Tensor) => binding.createTensor(tensor.shape, FLOAT, view(tensor));
  const product = (a: Tensor, b: Tensor, by: typeof NN) =>
    multiply(share(a), share(b), a.shape.length === 3, by);

  const host = hostBackend(identity, memory, (a, m, k, b, n, bias, relu, out) => {
    const left = binding.createTensor([m, k], FLOAT, memory.view(a, m * k));
    const right = binding.createTensor([k, n], FLOAT, memory.view(b, k * n));
    const values = multiply(left, right, false, NN);
    if (bias) loops.addBias(values, memory.view(bias, n), 1, relu);
    memory.view(out, m * n).set(values);
  });
  const shapeOf = (x: Tensor, ...last: number[]) => [...x.shape.slice(0, -2), ...last];

  // Where φ is too wide to be made by loops, the device's verbs are fast: on copies, which cost nothing beside them.
  const device = tfDevice(binding, identity);
  function onDevice(compute: (...tensors: Tensor[]) => Tensor, ...tensors: Tensor[]): Tensor {
    const copies = tensors.map((tensor) => device.upload(view(tensor), tensor.shape));
    const out = compute(...copies);
    const id = (out as Tensor & { id: Id }).id;
    const found = host.upload(binding.tensorDataSync(id) as Float32Array, out.shape);
    device.free(...copies, out);
    return found;
  }
  const isWide = (x: Tensor, diagonal: boolean) => !diagonal && x.shape[1] > WIDEST_PHI;
  /** Features that are (1, x). */
  const factors = new WeakSet<Tensor>();

  return {
    ...host,
    affine(x, w, b, relu) {
      const values = product(x, w, NN);
      loops.addBias(values, view(b), x.shape.length === 3 ? x.shape[0] : 1, relu);
      return host.upload(values, [...x.shape.slice(0, -1), w.shape.at(-1)!]);
    },
    gram: (a, b) => host.upload(product(a, b, TN), shapeOf(a, a.shape.at(-1)!, b.shape.at(-1)!)),
    reluGrad(g, w, h) {
      const values = product(g, w, NT);
      loops.maskPositive(values, view(h));
      return host.upload(values, h.shape);
    },
    quadraticForm(x, theta, diagonal) {
      if (!isWide(x, diagonal)) return host.quadraticForm(x, theta, diagonal);
      return onDevice((a, b) => device.quadraticForm(a, b, diagonal), x, theta);
    },
    quadraticFeatures(x, diagonal) {
      if (!isWide(x, diagonal)) return host.quadraticFeatures(x, diagonal);
      const made = onDevice((a) => device.quadraticFeatures(a, diagonal), x);
      factors.add(made);
      return made;
    },
    quadraticMoments(r, features) {
      if (factors.has(features))
        return onDevice(
          (a, b) => device.quadraticMoments(a, Object.assign(b, { factors: true })),
          r,
          features,
        );
      // Φᵀ, as loops make it.
      return host.upload(product(r, features, TT), [r.shape[1], features.shape[0]]);
    },
  };
}
