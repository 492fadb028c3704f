// A process that looks at one thing, for worker/host/doctor/probe.ts: `probe-process NAME ARGUMENT` prints one line of JSON.
import { createRequire } from 'node:module';
import { UserError } from '../../../base/user-error.ts';
import type { Backend, Tensor } from '../../compute/backends/backend.ts';

/** A backend that loads and computes. */
export interface BackendSpeed {
  identity: string;
  device: string | null;
  /** Seconds until it was ready. */
  loading: number;
  gflops: number;
  /** Of the square matrices where it was fastest. */
  size: number;
}

/** A measurement takes about this long, ms, without the loading. */
const MEASURE_MS = 2000;
const BATCH_MS = 100;

const probes = {
  /** A message there and back, encrypted, through the sockets that a run uses. */
  async zeromq(_: string): Promise<{ zeromq: string; libzmq: string; curve: boolean; milliseconds: number }> {
    const { version, capability } = await import('zeromq');
    const { createAuthenticator } = await import('../../../proto/authenticator.ts');
    const { newKeyPair } = await import('../../../proto/keys.ts');
    const { bindRouter, connectDealer } = await import('../../../proto/sockets.ts');
    const require = createRequire(import.meta.url);
    const about = { zeromq: require('zeromq/package.json').version, libzmq: version };
    if (!capability.curve) return { ...about, curve: false, milliseconds: 0 };
    const [own, worker] = [newKeyPair(), newKeyPair()];
    const begun = performance.now();
    const authenticator = createAuthenticator(own.secret, new Map([[worker.public, 'doctor']]), () => {});
    const router = await bindRouter(
      'tcp://127.0.0.1:*',
      (peer, frames) => void router.send(peer, frames),
      authenticator,
    );
    await new Promise<void>((resolve) => {
      const dealer = connectDealer(router.address, () => resolve(), {
        key: { ...worker, server: own.public },
      });
      void dealer.send([Buffer.from('hello')]);
    });
    return { ...about, curve: true, milliseconds: performance.now() - begun };
  },

  /** Names of the adapters that WebGPU could use. */
  async adapters(_: string): Promise<string[]> {
    const { listAdapters, loadDawn } = await import('../../compute/backends/webgpu-adapter.ts');
    const { dawn } = await loadDawn();
    return (await listAdapters(dawn)).map(
      ({ name, api, software }) => `${name} (${api}${software ? ', software: no GPU' : ''})`,
    );
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

/** The best rate of n×n products over sizes that fit into the time, in GFLOP/s. */
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
    /** The device may lag behind: an answer from the last product ends it. */
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
    // The next one takes eight times as long, thrice.
    if (performance.now() - begun + 3 * 8 * one > MEASURE_MS) break;
  }
  return best;
}

const [, , name, argument] = process.argv;
try {
  const found = await probes[name as keyof Probes](argument);
  process.stdout.write(`${JSON.stringify({ found })}\n`, () => process.exit(0));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stdout.write(`${JSON.stringify({ problem: error.message })}\n`, () => process.exit(0));
}
