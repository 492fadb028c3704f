import { type Http, type HttpOptions, openPort } from '../port.ts';
import type { MonitoredRun } from './api.ts';

/** Opens the HTTP port of a run. UserError if it is not available. */
export function openHttp(options: HttpOptions, run: MonitoredRun): Promise<Http> {
  const { token } = options;
  return openPort(options, run.recorder, async (bound, stream) => {
    const { createApp } = await import('./api.ts');
    return createApp({ run, bound, token, stream });
  });
}
