import { type Classifier, classify } from '../../model/state.ts';
import { bytesIn, type StateOf } from '../drawing/api.ts';
import { type DisplaySample, sampledRows } from '../drawing/display-sample.ts';
import { createMap, createViewer, type ModelView } from '../drawing/model-view.ts';

/** `onMap`: points on a map, in place of the axes. */
export type AnalysisRequest = { isOver: boolean; onMap: boolean };

/** The part of a dedicated worker's global scope used here; the DOM types lack it. */
interface WorkerScope {
  onmessage: ((event: { data: AnalysisRequest }) => void) | null;
  postMessage(message: ModelView, transfer: Transferable[]): void;
}

/**
 * Runs in a Web Worker. On each message it fetches the newest model state (and the sample once), labels and projects the
 * points, and posts the view. Messages that arrive while it is busy count as one.
 */
function startAnalysis(scope: WorkerScope): void {
  const viewOf = createViewer();
  let state: StateOf | null = null;
  let sample: DisplaySample | null = null;
  let mapped = createMap();
  let sampled = 0;
  let request: AnalysisRequest = { isOver: false, onMap: false };
  /** All points have been shown before. */
  let isShown = false;
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
      await postViews();
    }
    busy = false;
  };

  async function fetchNewest() {
    const [newest, first] = await Promise.all([
      fetchContent('api/state').then((response) => response?.json()),
      // During a run the rows may become others in between.
      request.isOver && !sample ? fetchSample() : null,
    ]);
    state = newest ?? state;
    if (state && first) [sample, sampled] = [first, state.sample];
    if (state && state.sample !== sampled) {
      sample = null;
      mapped = createMap();
      sampled = state.sample;
    }
    sample ??= await fetchSample();
  }

  /** Posts the view; of many points in many clusters, the first time that of some points before that of all. */
  async function postViews() {
    if (!state) return;
    if (sample && !isShown && state.k * (sample.rows.length / sample.dim) > MUCH_WORK) {
      postView(state, thinned(sample));
      // Lets the message go.
      await new Promise((resolve) => setTimeout(resolve));
    }
    isShown ||= sample !== null;
    postView(state, sample);
  }

  function postView(state: StateOf, loaded: DisplaySample | null) {
    // Rows of other columns are those of a state that is yet to come.
    const sample = loaded?.dim === state.means[0].length ? loaded : null;
    const labels = labelsOf(state, sample);
    const onAxes = viewOf(state, sample, labels, request.isOver);
    const view = request.onMap && sample && isShown ? mapped(onAxes, sample, state.scale) : onAxes;
    scope.postMessage(view, [view.xyz.buffer, view.labels.buffer]);
  }
}

/** The cluster of each row. */
function labelsOf(
  { classifier, groups }: Pick<StateOf, 'classifier' | 'groups'>,
  sample: DisplaySample | null,
): Int32Array {
  const both = <W extends { weights: string; bias: string }>(of: W) => ({
    ...{ ...of, weights: floats(of.weights), bias: floats(of.bias) },
  });
  const by: Classifier =
    'net' in classifier
      ? { net: classifier.net.map(both) }
      : {
          mixture: { ...both(classifier.mixture), constant: floats(classifier.mixture.constant) },
          ...(groups && { groups: Int32Array.from(groups) }),
        };
  return classify(by, sample?.rows ?? new Float32Array(0));
}

/** Little-endian float32 in base64. */
const floats = (base64: string) => new Float32Array(bytesIn(base64).buffer);

/** Points times clusters: more take a second where the machine is busy. */
const MUCH_WORK = 1_000_000;
const EVERY = 8;

/** Some of the rows, from all over the sample. */
function thinned({ rows, dim, numbers }: DisplaySample): DisplaySample {
  const kept = rows.filter((_, p) => Math.floor(p / dim) % EVERY === 0);
  return { rows: kept, dim, numbers: numbers.filter((_, row) => row % EVERY === 0) };
}

async function fetchSample(): Promise<DisplaySample | null> {
  const response = await fetchContent('api/sample');
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

startAnalysis(self as unknown as WorkerScope);
