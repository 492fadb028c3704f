import { availableParallelism, loadavg } from 'node:os';
import { UserError } from '../../../base/user-error.ts';
import { chooseBackend } from '../../compute/backends/load.ts';
import { findTensorflow, findWebgpu } from '../../compute/installed.ts';
import { gpu, vulkan } from './gpu.ts';
import * as machine from './machine.ts';
import { type CheckResult, failure, ok, warning } from './machine.ts';
import { type ProbeResult, probe } from './probe.ts';
import type { BackendSpeed } from './probe-process.ts';

/** Time limit of all checks together, without the start of the process, ms. */
const TIME_MS = 25_000;
/** Time limit of one backend, including its loading, ms. */
const BACKEND_MS = 8000;
/** The same for a requested backend, and for CUDA, which takes long to start on some machines. */
const SLOW_BACKEND_MS = 60_000;
const SOCKETS_MS = 5000;
const ADAPTERS_MS = 3000;

/**
 * Checks everything that a run needs and reports each result as it comes. The backend `asked` for (or the one that `auto`
 * chooses) has to work; any other that is not set up is only a warning.
 */
export async function doctor(
  asked: string | undefined,
  report: (check: CheckResult) => void,
): Promise<CheckResult[]> {
  const until = performance.now() + TIME_MS;
  const checks: CheckResult[] = [];
  const add = (...results: CheckResult[]) => {
    for (const check of results) {
      checks.push(check);
      report(check);
    }
  };
  add(machine.node());
  add(
    ...(await sockets()),
    machine.cores(),
    machine.memory(),
    machine.openFiles(),
    await machine.port(),
    machine.folders(),
  );

  const [chosen, choice] = await choose(asked);
  const isAsked = (name: string) => chosen === name;
  const tensorflow = findTensorflow();
  const webgpu = findWebgpu();
  // One after the other, so that they do not slow each other down; the requested one first, in case time runs out.
  const results = new Map<string, ProbeResult<BackendSpeed> | null>();
  const isUsable = (installed: object | null) => installed !== null && !('problem' in installed);
  const setUp = { wasm: true, cpu: true, tensorflow: isUsable(tensorflow), webgpu: isUsable(webgpu) };
  const names = Object.entries(setUp).flatMap(([name, is]) => (is ? [name] : []));
  for (const name of names.sort((a, b) => Number(isAsked(b)) - Number(isAsked(a)))) {
    const isCuda = name === 'tensorflow' && tensorflow && 'cuda' in tensorflow && tensorflow.cuda;
    const limit = isAsked(name) || isCuda ? SLOW_BACKEND_MS : Math.min(BACKEND_MS, until - performance.now());
    const env = { TF_CPP_MIN_LOG_LEVEL: '0' };
    results.set(name, limit < 500 ? null : await probe('backend', name, limit, env));
  }
  for (const name of ['wasm', 'cpu']) add(backend(name, results.get(name), isAsked(name)));
  for (const [name, installed] of Object.entries({ tensorflow, webgpu })) {
    const problem = installed ? 'problem' in installed && installed.problem : 'not set up';
    if (problem) add((isAsked(name) ? failure : warning)(name, problem, `dpmesh setup ${name}`));
    else if (installed && 'dir' in installed)
      add(backend(name, results.get(name), isAsked(name), `${installed.version} in ${installed.dir}: `));
  }
  const adapters = setUp.webgpu ? await probe('adapters', '', ADAPTERS_MS) : null;
  add(await gpu(tensorflow, results.get('tensorflow') ?? null), vulkan(adapters), choice);
  return checks;
}

const BUSY = ', but this machine is busy';
const RETRY = 'run dpmesh doctor again when it is not';
/** Did a probe time out because other programs use the CPU? */
const isBusy = (result: { timedOut?: true }) => result.timedOut && loadavg()[0] > 2 * availableParallelism();

/** The result for a backend: its speed, or why it does not work. */
function backend(
  name: string,
  result: ProbeResult<BackendSpeed> | null | undefined,
  asked: boolean,
  prefix = '',
): CheckResult {
  const problem = asked ? failure : warning;
  if (!result) return problem(name, `${prefix}not measured: out of time`, `dpmesh doctor --backend ${name}`);
  if ('value' in result) {
    const { identity, gflops, size, loading, device } = result.value;
    const rate = gflops < 10 ? gflops.toFixed(1) : Math.round(gflops);
    return ok(
      name,
      `${prefix}${identity}${device ? ` on ${device}` : ''}, ${rate} GFLOP/s (${size}×${size} matrices), ready in ${loading.toFixed(1)} s`,
    );
  }
  const remedy = ['wasm', 'cpu'].includes(name)
    ? 'reinstall dpmesh: npm ci'
    : result.timedOut
      ? `run dpmesh doctor --backend ${name}, which waits longer; until then use --backend wasm`
      : `run dpmesh setup ${name}; until then use --backend wasm`;
  if (isBusy(result) && !asked) return warning(name, `${prefix}${result.problem}${BUSY}`, RETRY);
  // WASM is the fallback of all other backends.
  return (name === 'wasm' ? failure : problem)(name, `${prefix}${result.problem}`, remedy);
}

/** The backend that has to work, if one was asked for, and the one that a run with this flag would use. */
async function choose(asked?: string): Promise<[string | null, CheckResult]> {
  try {
    const flag = asked ?? 'auto';
    const { backend, why } = await chooseBackend(flag);
    return [asked === undefined ? null : backend, ok('backend', `--backend ${flag} uses ${backend}: ${why}`)];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [asked ?? null, failure('backend', error.message, 'until then use --backend wasm')];
  }
}

async function sockets(): Promise<CheckResult[]> {
  const result = await probe('zeromq', '', SOCKETS_MS);
  if ('problem' in result) {
    const problem = `a test message did not come back: ${result.problem}`;
    if (isBusy(result)) return [warning('zeromq', problem + BUSY, RETRY)];
    const remedy = 'reinstall dpmesh (npm ci), and check that no firewall blocks the loopback interface';
    return [failure('zeromq', problem, remedy)];
  }
  const { zeromq, libzmq, curve, milliseconds } = result.value;
  return [
    ok('zeromq', `zeromq ${zeromq}, libzmq ${libzmq}`),
    curve
      ? ok('curve', `an encrypted message to 127.0.0.1 and back took ${milliseconds.toFixed(0)} ms`)
      : failure(
          'curve',
          'this libzmq does not support CURVE, so connections cannot be encrypted',
          'reinstall dpmesh (npm ci) with the prebuilt zeromq',
        ),
  ];
}
