import { mkdtempSync, rmdirSync, statfsSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../../base/user-error.ts';
import { cacheFolder } from '../../../data/cache.ts';
import { cachedBytes } from '../../../data/cache-pruning.ts';
import { type Check, failure, gib, ok, warning } from './check.ts';

const OLDEST_NODE = 20;
/** The coordinator's port unless it is told another. */
const PORT = 5555;
const LITTLE_MEMORY = 2 ** 30;
const LITTLE_DISK = 2 ** 30;

export function node(): Check {
  const { version, platform, arch, versions } = process;
  const detail = `${version}, ${platform} ${arch}, V8 ${versions.v8}`;
  return Number.parseInt(versions.node, 10) >= OLDEST_NODE
    ? ok('node', detail)
    : failure('node', detail, `install Node.js ${OLDEST_NODE} or newer`);
}

/** (func (result v128) i32.const 1 i8x16.splat): a module that only an engine with SIMD takes. */
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 1, 253, 15, 11],
);

// Types of WebAssembly are those of browsers.
const { WebAssembly } = globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array): boolean } };

export const wasmSimd = (): Check =>
  WebAssembly.validate(SIMD)
    ? ok('wasm simd', 'WebAssembly has 128-bit vectors')
    : warning(
        'wasm simd',
        'WebAssembly has no vectors here: WASM is several times slower',
        'use a newer Node.js, on x64 or arm64',
      );

export function cores(): Check {
  const usable = availableParallelism();
  const [first] = cpus();
  const all = cpus().length;
  return ok(
    'cores',
    `${usable}${all > usable ? ` of ${all}` : ''}, ${first?.model.trim() ?? 'of an unknown kind'}`,
  );
}

export function memory(): Check {
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const free = process.availableMemory();
  const detail = `${gib(total)}${total < totalmem() ? ' (a limit of this container)' : ''}, ${gib(free)} free`;
  return free < LITTLE_MEMORY
    ? warning('memory', detail, 'a worker takes 0.1 to 0.5 GiB: use fewer (--workers), or end other programs')
    : ok('memory', detail);
}

/** Can a coordinator listen, and is its usual port free? */
export async function port(): Promise<Check> {
  const problem = await bind(0, '127.0.0.1');
  if (problem)
    return failure(
      'port',
      `no port of 127.0.0.1 can be bound (${problem})`,
      'is there a sandbox or a limit of open files (ulimit -n)?',
    );
  const open = await bind(0, '0.0.0.0');
  if (open)
    return warning(
      'port',
      `only loopback can be bound (${open}): no workers from other machines`,
      'is there a sandbox or firewall?',
    );
  const usual = await bind(PORT, '127.0.0.1');
  return usual
    ? warning(
        'port',
        `ports can be bound, but not ${PORT} (${usual})`,
        'is another coordinator running? Else choose a port with --bind',
      )
    : ok('port', `ports can be bound; ${PORT} is free`);
}

function bind(port: number, host: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/** How far wall and monotonic clock may drift apart while they are watched, ms: more is a step. */
const STEP_MS = 50;
const DAY_MS = 86_400_000;

export async function clock(): Promise<Check> {
  let last = performance.now();
  let backwards = false;
  const before = Date.now() - last;
  for (let i = 0; i < 10_000; i++) {
    const now = performance.now();
    backwards ||= now < last;
    last = now;
  }
  await sleep(200);
  if (backwards)
    return failure(
      'clock',
      'the monotonic clock ran backwards',
      'a fault of the system or the virtual machine: restart it',
    );
  const step = Math.abs(Date.now() - performance.now() - before);
  const now = new Date();
  const made = statSync(fileURLToPath(import.meta.url)).mtimeMs;
  if (now.getTime() < made - DAY_MS || now.getFullYear() > 2100)
    return warning(
      'clock',
      `it is said to be ${now.toISOString()}; dpmesh was installed at ${new Date(made).toISOString()}`,
      'set the clock (NTP): times of events and logs are wrong',
    );
  if (step > STEP_MS)
    return warning(
      'clock',
      `the wall clock jumped by ${Math.round(step)} ms while it was watched`,
      'times of events may be wrong; results are not',
    );
  return ok('clock', `${now.toISOString()}; the monotonic clock is steady`);
}

/** Runs go to ./runs, decoded copies to the cache folder. */
export function folders(): Check {
  const runs = resolve('runs');
  const place = statSync(runs, { throwIfNoEntry: false })?.isDirectory() ? runs : dirname(runs);
  try {
    const cache = cacheFolder();
    for (const folder of [place, cache]) writeInto(folder);
    const { bavail, bsize } = statfsSync(place);
    const detail = `${place} (runs) and ${cache} (decoded files, ${gib(cachedBytes(cache))}) can be written to; ${gib(bavail * bsize)} free`;
    return bavail * bsize < LITTLE_DISK
      ? warning(
          'data folder',
          detail,
          'a run needs room for its labels and checkpoints: choose a place with --out',
        )
      : ok('data folder', detail);
  } catch (error) {
    const { message } = error as Error;
    return error instanceof UserError
      ? warning('data folder', message, 'set DPMESH_CACHE')
      : warning(
          'data folder',
          `it cannot be written to: ${message}`,
          'go to a folder of yours, or name one with --out and DPMESH_CACHE',
        );
  }
}

function writeInto(folder: string): void {
  const made = mkdtempSync(join(folder, '.dpmesh-doctor-'));
  try {
    writeFileSync(join(made, 'file'), 'x');
    unlinkSync(join(made, 'file'));
  } finally {
    rmdirSync(made);
  }
}
