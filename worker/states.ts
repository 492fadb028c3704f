import { type Tensors, take } from '../proto/tensors.ts';
import type { Backend, Tensor } from './backends/backend.ts';

/** The coordinator's states as this worker last got them; their tensors go to the device on first use. */
export interface States {
  put(name: string, version: number, tensors: Tensors): void;
  get(name: string): Tensors;
  version(name: string): number;
  /** Throws unless this very version is here. */
  check(name: string, version: number): void;
  /** One tensor on the device, kept there until the state is replaced. */
  onDevice(name: string, tensor: string): Tensor;
  /** A net's parameters `p0, p1, …` (or a moment's, `m…`, `v…`) on the device. */
  net(name: string, prefix: string): Tensor[];
  /** The same as a copy of the caller's own. */
  netCopy(name: string, prefix: string): Tensor[];
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
  const netNames = (tensors: Tensors, prefix: string) =>
    Array.from({ length: Object.keys(tensors).length }, (_, i) => `${prefix}${i}`).filter(
      (name) => name in tensors,
    );

  const self: States = {
    put(name, version, tensors) {
      const old = states.get(name);
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
    net: (name, prefix) => netNames(entry(name).tensors, prefix).map((tensor) => self.onDevice(name, tensor)),
    netCopy(name, prefix) {
      const { tensors } = entry(name);
      return netNames(tensors, prefix).map((tensor) => upload(tensors, tensor));
    },
  };
  return self;
}
