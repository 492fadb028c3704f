import { netShapes, netSize, unflatten } from '../../model/nets/net.ts';
import { MOST_STATES } from '../../proto/messages.ts';
import { type Tensors, take } from '../../proto/tensors.ts';
import type { Backend, Tensor } from '../../worker/compute/backends/backend.ts';

export type States = ReturnType<typeof createStates>;
type NetName = 'net' | 'subs';

/** The states that the coordinator last sent. Tensors are uploaded to the device on first use, where they stay until replaced. */
export function createStates(backend: Backend) {
  const states = new Map<string, { version: number; tensors: Tensors; device: Map<string, Tensor> }>();
  const entry = (name: string) => {
    const state = states.get(name);
    if (!state) throw new Error(`state ${name} was never sent`);
    return state;
  };
  const onDevice = (name: string, key: string, values: () => [Float32Array, readonly number[]]) => {
    const { device } = entry(name);
    const uploaded = device.get(key) ?? backend.upload(...values());
    device.set(key, uploaded);
    return uploaded;
  };
  /** The parameters of a net, or Adam's moments of it, as one flat array, with the shapes of its parts. */
  const flat = (net: NetName, moment?: 'first' | 'second') => {
    const { tensors } = entry(net);
    const shapes = netShapes([...take(tensors, 'widths', 'int32')], take(tensors, 'nets', 'int32', 1)[0]);
    const data = moment
      ? take(entry(`${net}-moments`).tensors, moment, 'float32', netSize(shapes))
      : take(tensors, 'params', 'float32', netSize(shapes));
    return { data, shapes };
  };
  /** The net's layers as separate arrays. */
  const layers = (net: NetName, moment?: 'first' | 'second') => {
    const { data, shapes } = flat(net, moment);
    return unflatten(data, shapes).map((values, i) => ({ data: values, shape: shapes[i] }));
  };
  return {
    put(name: string, version: number, tensors: Tensors): void {
      const old = states.get(name);
      if (!old && states.size >= MOST_STATES) throw new Error(`more than ${MOST_STATES} states`);
      if (old) backend.free(...old.device.values());
      states.set(name, { version, tensors, device: new Map() });
    },
    get: (name: string) => entry(name).tensors,
    version: (name: string) => entry(name).version,
    /** Throws unless the state has this version. */
    check(name: string, version: number): void {
      if (entry(name).version !== version)
        throw new Error(`state ${name} is at version ${entry(name).version}, not ${version}`);
    },
    /** A tensor of a state on the device. */
    onDevice(name: string, tensor: string): Tensor {
      const { tensors } = entry(name);
      return onDevice(name, tensor, () => [take(tensors, tensor, 'float32'), tensors[tensor].shape]);
    },
    /** A net's weights W₁, b₁, … on the device. */
    net: (name: NetName): Tensor[] =>
      layers(name).map(({ data, shape }, i) => onDevice(name, `params/${i}`, () => [data, shape])),
    /** What gives rows their clusters, on the device, the last [K]: the clustering net, or the mixture's weights, bias and constant. */
    classifier(byMixture = false): Tensor[] {
      const tensors = ['weights', 'bias', 'constant'];
      return byMixture ? tensors.map((tensor) => this.onDevice('e-step', tensor)) : this.net('net');
    },
    flat,
    layers,
    /** Frees everything on the device. */
    free(): void {
      for (const { device } of states.values()) backend.free(...device.values());
      states.clear();
    },
  };
}
