import { availableParallelism, loadavg } from 'node:os';
import { UserError } from '../../../base/user-error.ts';
import { chooseBackend } from '../../compute/backends/choose.ts';
import { findTensorflow, findWebgpu } from '../../compute/installed.ts';
import { type CheckResult, failure, ok, warning } from './check.ts';
import { gpu, vulkan } from './gpu.ts';
import * as machine from './machine.ts';
import { type ProbeResult, probe } from './probe.ts';
import type { BackendSpeed } from './probe-process.ts';

/** All together take no longer than this, ms; the start of the process is outside of it. */
const TIME_MS = 25_000;
/** One backend at the most, its loading included. */
const BACKEND_MS = 8000;
/** The same of what was asked for, and of CUDA, whose start takes long on some machines. */
const PATIENT_MS = 60_000;
const SOCKETS_MS = 5000;
const ADAPTERS_MS = 3000;

/**
 * Looks at all that a run needs and tells each finding as it comes. With `asked`, a backend (or `auto`) has to work;
 * otherwise what is not set up is only a warning.
 */
export async function doctor(
  asked: string | undefined,
  tell: (check: CheckResult) => void,
): Promise<CheckResult[]> {
  const until = performance.now() + TIME_MS;
  const checks: CheckResult[] = [];
  const add = (...found: CheckResult[]) => {
    for (const check of found) {
      checks.push(check);
      tell(check);
    }
  };
  add(machine.node());
  add(...(await sockets()), machine.wasmSimd(), machine.cores(), machine.memory());
  const [bound, clock] = await Promise.all([machine.port(), machine.systemClock()]);
  add(bound, clock, machine.folders());

  const [chosen, choice] = await choose(asked);
  const isAsked = (name: string) => chosen === name;
  const tensorflow = findTensorflow();
  const webgpu = findWebgpu();
  // One after the other: each is to have the machine for itself. What was asked for comes first, if time is short.
  const results = new Map<string, ProbeResult<BackendSpeed> | null>();
  const setUp = {
    wasm: true,
    cpu: true,
    tensorflow: tensorflow && !('problem' in tensorflow),
    webgpu: webgpu && !('problem' in webgpu),
  };
  const order = Object.keys(setUp).sort((a, b) => Number(isAsked(b)) - Number(isAsked(a)));
  for (const name of order) {
    if (!setUp[name as keyof typeof setUp]) continue;
    const isSlow =
      isAsked(name) || (name === 'tensorflow' && tensorflow && 'cuda' in tensorflow && tensorflow.cuda);
    const limit = isSlow ? PATIENT_MS : Math.min(BACKEND_MS, until - performance.now());
    results.set(
      name,
      limit < 500 ? null : await probe('backend', name, limit, { TF_CPP_MIN_LOG_LEVEL: '0' }),
    );
  }
  for (const name of ['wasm', 'cpu']) add(backend(name, results.get(name), isAsked(name)));
  for (const [name, found] of [
    ['tensorflow', tensorflow],
    ['webgpu', webgpu],
  ] as const) {
    const not = isAsked(name) ? failure : warning;
    if (!found) add(not(name, 'not set up', `dpmesh setup ${name}`));
    else if ('problem' in found) add(not(name, found.problem, `dpmesh setup ${name}`));
    else add(backend(name, results.get(name), isAsked(name), `${found.version} in ${found.dir}`));
  }
  const adapters = setUp.webgpu ? await probe('adapters', '', ADAPTERS_MS) : null;
  add(await gpu(tensorflow, results.get('tensorflow') ?? null), vulkan(adapters), choice);
  return checks;
}

const BUSY = ', but this machine is busy';
const AGAIN = 'dpmesh doctor again, when it is not';
/** Was there no answer because others have the processors? */
const isBusy = (result: { late?: true }) => result.late && loadavg()[0] > 2 * availableParallelism();

/** A backend's line: its product, or why there is none. */
function backend(
  name: string,
  result: ProbeResult<BackendSpeed> | null | undefined,
  asked: boolean,
  about = '',
): CheckResult {
  const prefix = about && `${about}: `;
  if (!result) {
    const not = asked ? failure : warning;
    return not(name, `${prefix}not measured: no time was left`, `dpmesh doctor --backend ${name}`);
  }
  if ('found' in result) {
    const { identity, gflops, size, loading, device } = result.found;
    const rate = gflops < 10 ? gflops.toFixed(1) : Math.round(gflops);
    return ok(
      name,
      `${prefix}${identity}${device ? ` on ${device}` : ''}, ${rate} GFLOP/s (${size}×${size} matrices), ready in ${loading.toFixed(1)} s`,
    );
  }
  const remedy = ['wasm', 'cpu'].includes(name)
    ? 'install again: npm ci'
    : result.late
      ? `dpmesh doctor --backend ${name}, which waits longer; another backend works meanwhile: --backend wasm`
      : `dpmesh setup ${name}; another backend works meanwhile: --backend wasm`;
  if (isBusy(result) && !asked) return warning(name, `${prefix}${result.problem}${BUSY}`, AGAIN);
  // Without WASM there is nothing to fall back on.
  return (asked || name === 'wasm' ? failure : warning)(name, `${prefix}${result.problem}`, remedy);
}

/** Which backend has to work, if one was asked for, and which a run with this flag would take. */
async function choose(asked?: string): Promise<[string | null, CheckResult]> {
  try {
    const flag = asked ?? 'auto';
    const { backend, why } = await chooseBackend(flag);
    return [
      asked === undefined ? null : backend,
      ok('backend', `--backend ${flag} takes ${backend}: ${why}`),
    ];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [asked ?? null, failure('backend', error.message, 'another one works meanwhile: --backend wasm')];
  }
}

async function sockets(): Promise<CheckResult[]> {
  const result = await probe('zeromq', '', SOCKETS_MS);
  if ('problem' in result && isBusy(result))
    return [warning('zeromq', `no message came back: ${result.problem}${BUSY}`, AGAIN)];
  if ('problem' in result)
    return [
      failure(
        'zeromq',
        `no message came back: ${result.problem}`,
        'install again: npm ci; is loopback open (firewall)?',
      ),
    ];
  const { zeromq, libzmq, curve, milliseconds } = result.found;
  return [
    ok('zeromq', `zeromq ${zeromq}, libzmq ${libzmq}`),
    curve
      ? ok('curve', `an encrypted message went to 127.0.0.1 and back in ${milliseconds.toFixed(0)} ms`)
      : failure(
          'curve',
          'this libzmq has no CURVE: nothing can be encrypted',
          'install again: npm ci, with the prebuilt zeromq',
        ),
  ];
}
