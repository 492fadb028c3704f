import type { StateOf } from '../view/api.ts';
import { sampledRows } from '../view/sample-rows.ts';
import { createAnalyser, type DisplaySample, type ModelView } from './analyse.ts';
import { createMap } from './map.ts';

export interface AnalysisRequest {
  isOver: boolean;
  /** Points on a map, in place of the axes. */
  onMap: boolean;
}

/** The part of a dedicated worker's global scope used here; the DOM types lack it. */
interface WorkerScope {
  onmessage: ((event: { data: AnalysisRequest }) => void) | null;
  postMessage(message: ModelView, transfer: Transferable[]): void;
}

/**
 * Runs in a Web Worker. On each message it fetches the newest model state (and the sample once), labels and projects the
 * points, and posts the view. Messages that arrive while it is busy count as one.
 */
export function startAnalysisWorker(scope: WorkerScope): void {
  const analyse = createAnalyser();
  let state: StateOf | null = null;
  let sample: DisplaySample | null = null;
  let mapped = createMap();
  let sampled = 0;
  let request: AnalysisRequest = { isOver: false, onMap: false };
  let busy = false;
  let isStale = false;
  scope.onmessage = async ({ data }) => {
    request = data;
    isStale = true;
    if (busy) return;
    busy = true;
    while (isStale) {
      isStale = false;
      try {
        await fetchNewest();
      } catch {
        // The coordinator is gone or not ready. The next message retries; once the run is over, draw the last known state.
        if (!request.isOver) continue;
      }
      postView();
    }
    busy = false;
  };

  async function fetchNewest() {
    state = (await (await fetchContent('/api/state'))?.json()) ?? state;
    if (state && state.sample !== sampled) {
      sample = null;
      mapped = createMap();
      sampled = state.sample;
    }
    sample ??= await fetchSample();
  }

  function postView() {
    if (!state) return;
    const onAxes = analyse(state, sample, request.isOver);
    const view = request.onMap && sample ? mapped(onAxes, sample, state.scale) : onAxes;
    scope.postMessage(view, [view.xyz.buffer, view.labels.buffer]);
  }
}

async function fetchSample(): Promise<DisplaySample | null> {
  const response = await fetchContent('/api/sample');
  if (!response) return null;
  const dim = Number(response.headers.get('x-dim'));
  const bytes = await response.arrayBuffer();
  if (!(dim > 0 && bytes.byteLength)) return null;
  const rows = new Float32Array(bytes);
  const all = Number(response.headers.get('x-rows-in-all'));
  return { rows, dim, numbers: all ? sampledRows(rows.length / dim, all) : new Float64Array(0) };
}

/** The response, or null if it is an error or empty. */
async function fetchContent(path: string): Promise<Response | null> {
  const response = await fetch(path, { cache: 'no-store' });
  return response.ok && response.status !== 204 ? response : null;
}
