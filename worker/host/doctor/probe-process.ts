// Runs one probe for worker/host/doctor/probe.ts: `probe-process NAME ARGUMENT` prints one line of JSON.
import { createRequire } from 'node:module';
import { UserError } from '../../../base/user-error.ts';
import type { Backend, Tensor } from '../../compute/backends/backend.ts';

/** How fast a backend loads and computes. */
export interface BackendSpeed {
  identity: string;
  device: string | null;
  /** Seconds to load it. */
  loading: number;
  gflops: number;
  /** Rows of the square matrices at which it was fastest. */
  size: number;
}

/** Time of a measurement, without loading, ms. */
const MEASURE_MS = 2000;
const BATCH_MS = 100;

const probes = {
  /** Sends an encrypted message there and back through the sockets that a run uses. */
  async zeromq(_: string): Promise<{ zeromq: string; libzmq: string; curve: boolean; milliseconds: number }> {
    const { version, capability } = await import('zeromq');
    const { createAuthenticator } = await import('../../../proto/authenticator.ts');
    const { newKeyPair } = await import('../../../proto/keys.ts');
    const { bindRouter, connectDealer } = await import('../../../proto/sockets.ts');
    const require = createRequire(import.meta.url);
    const versions = { zeromq: require('zeromq/package.json').version, libzmq: version };
    if (!capability.curve) return { ...versions, curve: false, milliseconds: 0 };
    const [server, worker] = [newKeyPair(), newKeyPair()];
    const start = performance.now();
    const authenticator = createAuthenticator(server.secret, new Map([[worker.public, 'doctor']]), () => {});
    const router = await bindRouter(
      'tcp://127.0.0.1:*',
      (peer, frames) => void router.send(peer, frames),
      authenticator,
    );
    await new Promise<void>((resolve) => {
      const dealer = connectDealer(router.address, () => resolve(), {
        key: { ...worker, server: server.public },
      });
      void dealer.send([Buffer.from('hello')]);
    });
    return { ...versions, curve: true, milliseconds: performance.now() - start };
  },

  /** Names of the adapters that WebGPU can use. */
  async adapters(_: string): Promise<string[]> {
    const { listAdapters, loadDawn } = await import('../../compute/backends/webgpu-adapter.ts');
    const { dawn } = await loadDawn();
    return (await listAdapters(dawn)).map(
      ({ name, api, software }) => `${name} (${api}${software ? ', on the CPU' : ''})`,
    );
  },

  /** Fails unless a backend, on adapter number `gpu`, computes on a GPU as `flag` requires. */
  async gpu(argument: string): Promise<void> {
    const { backend, gpu, flag } = JSON.parse(argument);
    const { assertGpu, loadBackend } = await import('../../compute/backends/load.ts');
    assertGpu(await loadBackend(backend, { gpu, now: true }), flag);
  },

  async backend(name: string): Promise<BackendSpeed> {
    const begun = performance.now();
    const { loadBackend } = await import('../../compute/backends/load.ts');
    const backend = await loadBackend(name, { now: true });
    const loading = (performance.now() - begun) / 1000;
    const { identity, device } = backend;
    return { identity, device: device?.name ?? null, loading, ...(await speed(backend)) };
  },
};

export type Probes = typeof probes;

/** The best rate of n×n products, in GFLOP/s, over the sizes for which there is time. */
async function speed(backend: Backend): Promise<{ gflops: number; size: number }> {
  let best = { gflops: 0, size: 0 };
  const begun = performance.now();
  for (const n of [128, 256, 512, 1024, 2048, 4096]) {
    const square = (at: number) =>
      backend.upload(
        Float32Array.from({ length: n * n }, (_, i) => ((i * 7 + at) % 13) - 6),
        [n, n],
      );
    const [x, w, b] = [square(0), square(5), backend.upload(new Float32Array(n), [n])];
    /** Time of `count` products, ms. Reads from the last one, as the device may run asynchronously. */
    const products = async (count: number) => {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        const out: Tensor = backend.affine(x, w, b, false);
        if (i === count - 1) {
          const row = backend.slice(out, 0, 1);
          await backend.read(row);
          backend.free(row);
        }
        backend.free(out);
      }
      return performance.now() - start;
    };
    await products(1);
    const one = await products(1);
    const count = Math.max(1, Math.min(1000, Math.floor(BATCH_MS / one)));
    const took = await products(count);
    const gflops = (2 * n ** 3 * count) / took / 1e6;
    if (gflops > best.gflops) best = { gflops, size: n };
    backend.free(x, w, b);
    // The next size takes about eight times as long, and runs three times.
    if (performance.now() - begun + 3 * 8 * one > MEASURE_MS) break;
  }
  return best;
}

const [, , name, argument] = process.argv;
try {
  const value = await probes[name as keyof Probes](argument);
  process.stdout.write(`${JSON.stringify({ value })}\n`, () => process.exit(0));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stdout.write(`${JSON.stringify({ problem: error.message })}\n`, () => process.exit(0));
}
