import { netShapes, netSize, unflatten } from '../model/nets/net.ts';
import { MOST_STATES } from '../proto/messages.ts';
import { type Tensors, take } from '../proto/tensors.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';

/** The states that the coordinator last sent. Tensors are uploaded to the device on first use. */
export interface States {
  put(name: string, version: number, tensors: Tensors): void;
  get(name: string): Tensors;
  version(name: string): number;
  /** Throws unless the state has this version. */
  check(name: string, version: number): void;
  /** A tensor on the device, where it stays until the state is replaced. */
  onDevice(name: string, tensor: string): Tensor;
  /** Frees everything on the device. */
  free(): void;
  /** The parameters of a net, or Adam's moments of it, as one flat array, with the shapes of its parts. */
  flat(net: 'net' | 'subs', tensor?: 'first' | 'second'): { data: Float32Array; shapes: number[][] };
  /** The net's layers as separate arrays. */
  layers(net: 'net' | 'subs', tensor?: 'first' | 'second'): { data: Float32Array; shape: number[] }[];
  /** A net's weights W₁, b₁, … on the device. */
  net(name: 'net' | 'subs'): Tensor[];
}

export function createStates(backend: Backend): States {
  const states = new Map<string, { version: number; tensors: Tensors; device: Map<string, Tensor> }>();
  const entry = (name: string) => {
    const state = states.get(name);
    if (!state) throw new Error(`state ${name} was never sent`);
    return state;
  };
  const upload = (tensors: Tensors, name: string) =>
    backend.upload(take(tensors, name, 'float32'), tensors[name].shape);

  const self: States = {
    put(name, version, tensors) {
      const old = states.get(name);
      if (!old && states.size >= MOST_STATES) throw new Error(`more than ${MOST_STATES} states`);
      if (old) backend.free(...old.device.values());
      states.set(name, { version, tensors, device: new Map() });
    },
    get: (name) => entry(name).tensors,
    version: (name) => entry(name).version,
    check(name, version) {
      if (entry(name).version !== version)
        throw new Error(`state ${name} is at version ${entry(name).version}, not ${version}`);
    },
    onDevice(name, tensor) {
      const { tensors, device } = entry(name);
      let uploaded = device.get(tensor);
      if (!uploaded) {
        uploaded = upload(tensors, tensor);
        device.set(tensor, uploaded);
      }
      return uploaded;
    },
    free() {
      for (const { device } of states.values()) backend.free(...device.values());
      states.clear();
    },
    flat(net, tensor) {
      const { tensors } = entry(net);
      const shapes = netShapes([...take(tensors, 'widths', 'int32')], take(tensors, 'nets', 'int32', 1)[0]);
      const data = tensor
        ? take(entry(`${net}-moments`).tensors, tensor, 'float32', netSize(shapes))
        : take(tensors, 'params', 'float32', netSize(shapes));
      return { data, shapes };
    },
    layers(net, tensor) {
      const { data, shapes } = self.flat(net, tensor);
      return unflatten(data, shapes).map((values, i) => ({ data: values, shape: shapes[i] }));
    },
    net(name) {
      const { device } = entry(name);
      return self.layers(name).map(({ data, shape }, i) => {
        const key = `params/${i}`;
        const uploaded = device.get(key) ?? backend.upload(data, shape);
        device.set(key, uploaded);
        return uploaded;
      });
    },
  };
  return self;
}
