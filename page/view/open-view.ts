import { setTimeout as sleep } from 'node:timers/promises';
import { isLoopback } from '../../base/address.ts';
import { UserError } from '../../base/user-error.ts';
import { placeOf } from '../../run/finished-run.ts';
import { readRunFile } from '../../run/run-file.ts';
import { hasLabels } from '../../run/run-files.ts';
import { type Http, type HttpOptions, type MessageSource, openPort } from '../port.ts';
import type { ViewedRun } from './compare.ts';

const CHECK_MS = 250;
/** Of finished runs there is nothing new to send. */
const NO_MESSAGES: MessageSource = {
  status: () => 'done',
  workSince: () => ({ work: [], next: 0 }),
  listen() {},
};

/**
 * The runs in these directories. Of several, those that are none are left out, after a warning: a pattern such as `runs/*` may
 * match anything. UserError if none is left, or for a single run that cannot be shown.
 */
export function viewedRuns(paths: readonly string[], warn: (message: string) => void): ViewedRun[] {
  const runs = paths.flatMap((path): ViewedRun[] => {
    try {
      const at = placeOf(path);
      return [{ path: at, run: readRunFile(at) }];
    } catch (error) {
      if (!(error instanceof UserError) || paths.length === 1) throw error;
      warn(`${error.message}: it is left out`);
      return [];
    }
  });
  if (!runs.length) throw new UserError('none of these is a run directory; pass one, such as runs/x');
  for (const { path, run } of runs) if (run.result && !hasLabels(path)) run.result = null;
  const [{ path, run }] = runs;
  if (runs.length === 1 && !run.result)
    throw new UserError(
      `${path} is not finished; give it labels with: dpmesh finish ${path}, or continue it with: dpmesh resume ${path}`,
    );
  return runs;
}

/** Opens the page of these runs, read-only. UserError if the address is taken, or open to other machines. */
export async function openView(
  runs: readonly ViewedRun[],
  address: Omit<HttpOptions, 'token'>,
): Promise<Http> {
  if (!isLoopback(address.host))
    throw new UserError(
      `--http ${address.host}:${address.port} is open to other machines, which could read the data; use 127.0.0.1, and from elsewhere a tunnel: ssh -L`,
    );
  return openPort(address, NO_MESSAGES, async (bound, stream) => {
    const { createViewApp } = await import('./app.ts');
    const { rowData } = await import('./row-data.ts');
    const { runPage } = await import('./run-page.ts');
    return createViewApp(runs, bound, stream, { pageOf: runPage, dataOf: rowData });
  });
}

/** Keeps pages open until `signal` aborts, or nobody has looked at them for so many seconds; then closes them. */
export async function keepOpen(
  http: Http,
  signal: AbortSignal,
  patience = Number.POSITIVE_INFINITY,
): Promise<void> {
  let seen = performance.now();
  for (;;) {
    if (http.viewers() > 0) seen = performance.now();
    if (signal.aborted || performance.now() - seen >= 1000 * patience) break;
    await sleep(CHECK_MS, undefined, { signal }).catch(() => {});
  }
  await http.close();
}
