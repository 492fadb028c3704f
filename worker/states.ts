import { netShapes, netSize, unflatten } from '../model/net.ts';
import { MOST_STATES } from '../proto/messages.ts';
import { type Tensors, take } from '../proto/tensors.ts';
import type { Backend, Tensor } from './compute/backends/backend.ts';

/** The coordinator's states as this worker last got them; their tensors go to the device on first use. */
export interface States {
  put(name: string, version: number, tensors: Tensors): void;
  get(name: string): Tensors;
  version(name: string): number;
  /** Throws unless this very version is here. */
  check(name: string, version: number): void;
  /** One tensor on the device, kept there until the state is replaced. */
  onDevice(name: string, tensor: string): Tensor;
  /** Frees all that is on the device. */
  free(): void;
  /** Shapes and the arrays one after the other of the state `net` (or `subs`), or of the moments that go with it. */
  flat(net: 'net' | 'subs', tensor?: 'first' | 'second'): { data: Float32Array; shapes: number[][] };
  /** The same, array by array. */
  layers(net: 'net' | 'subs', tensor?: 'first' | 'second'): { data: Float32Array; shape: number[] }[];
  /** A net's weights W₁, b₁, … on the device. */
  net(name: 'net' | 'subs'): Tensor[];
}

export function createStates(backend: Backend): States {
  const states = new Map<string, { version: number; tensors: Tensors; device: Map<string, Tensor> }>();
  const entry = (name: string) => {
    const found = states.get(name);
    if (!found) throw new Error(`state ${name} was never sent`);
    return found;
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
      let found = device.get(tensor);
      if (!found) {
        found = upload(tensors, tensor);
        device.set(tensor, found);
      }
      return found;
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
        const found = device.get(key) ?? backend.upload(data, shape);
        device.set(key, found);
        return found;
      });
    },
  };
  return self;
}
