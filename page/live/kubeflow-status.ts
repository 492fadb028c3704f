import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunEvent } from '../../run/events.ts';

/**
 * How far a run is, for the status server of Kubeflow Trainer, whose address, certificate and token are in the environment of the pods
 * of a TrainJob (its proposal KEP-2779). `kubectl get trainjob NAME -o yaml` then shows it in `status.trainerStatus`.
 */

/** The variables that the trainer sets in its pods: a URL, and two files. */
const [URL_OF, CERTIFICATE, TOKEN] = ['URL', 'CA_CERT', 'TOKEN'].map(
  (name) => `KUBEFLOW_TRAINER_STATUS_${name}`,
);
/** Between two posts, ms. The trainer writes each of them to the store of the cluster. */
const INTERVAL_MS = 5000;
/** For one post, ms. */
const TIMEOUT_MS = 10_000;

/** Null where the variable of the address is not set. A post that fails is reported once, and never disturbs the run. */
export function kubeflowStatus(
  env: NodeJS.ProcessEnv,
  warn: (message: string) => void,
  interval = INTERVAL_MS,
) {
  const url = env[URL_OF];
  if (!url) return null;
  const metrics = new Map<string, string>();
  let isNew = false;
  let hasFailed = false;
  let isPosting = false;
  let last = Promise.resolve();

  async function post(percent?: number): Promise<void> {
    isNew = false;
    const trainerStatus = {
      // When K has settled is not known before.
      ...(percent !== undefined && { progressPercentage: percent, estimatedRemainingSeconds: 0 }),
      metrics: Array.from(metrics, ([name, value]) => ({ name, value })),
      lastUpdatedTime: new Date().toISOString(),
    };
    try {
      await send(url!, env, JSON.stringify({ trainerStatus }));
    } catch (error) {
      if (!hasFailed) warn(`the status of the TrainJob was not updated: ${(error as Error).message}`);
      hasFailed = true;
    }
  }

  /** Posts what is new, and what becomes new meanwhile. */
  async function postAll(): Promise<void> {
    for (isPosting = true; isNew; await sleep(interval, undefined, { ref: false })) await (last = post());
    isPosting = false;
  }

  return {
    event(event: RunEvent): void {
      const found = metricsOf(event);
      for (const [name, value] of Object.entries(found)) metrics.set(name, String(value));
      isNew ||= Object.keys(found).length > 0;
      if (isNew && !isPosting) void postAll();
    },
    /** The last status, after one that is on its way. `done`: the run has its result. */
    async end(done: boolean): Promise<void> {
      await last;
      await post(done ? 100 : undefined);
    },
  };
}

function metricsOf(event: RunEvent): Record<string, number> {
  if (event.type === 'start') return { rows: event.rows };
  if (event.type === 'encoder-epoch') return { encoder_epoch: event.epoch, encoder_loss: event.loss };
  if (event.type === 'epoch')
    return { epoch: event.epoch, clusters: event.k, ...(event.loss !== null && { loss: event.loss }) };
  return event.type === 'done' ? { clusters: event.k } : {};
}

async function send(url: string, env: NodeJS.ProcessEnv, body: string): Promise<void> {
  const { request } = await import('node:https');
  // Read each time: tokens are replaced while the pod lives.
  const token = readFileSync(env[TOKEN] ?? '', 'utf8').trim();
  const ca = readFileSync(env[CERTIFICATE] ?? '');
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const posted = request(url, { method: 'POST', ca, headers, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 300) resolve();
      else reject(new Error(`${new URL(url).host} answers ${statusCode}`));
    });
    posted.on('timeout', () => posted.destroy(new Error(`${new URL(url).host} does not answer`)));
    posted.on('error', reject);
    posted.end(body);
  });
}
