import type { StateOf } from '../view/api.ts';
import { analyst, type Picture, type Sample } from './analyse.ts';

/** The part of a dedicated worker's scope that is used here; the DOM's types do not have it. */
interface Scope {
  /** `data`: is the run over? */
  onmessage: ((event: { data: boolean }) => void) | null;
  postMessage(message: Picture, transfer: Transferable[]): void;
}

/**
 * Runs in a Web Worker: at each message it fetches the newest state (the sample once), labels and projects it, and
 * posts a picture. Messages that come meanwhile count as one.
 */
export function work(scope: Scope): void {
  const analyse = analyst();
  let state: StateOf | null = null;
  let sample: Sample | null = null;
  let isOver = false;
  let busy = false;
  let again = false;
  scope.onmessage = async ({ data }) => {
    isOver = data;
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      try {
        await fetchNewest();
      } catch {
        // The coordinator is gone or not ready: the next state is another chance. What is known is drawn as the last.
        if (!isOver) continue;
      }
      draw();
    }
    busy = false;
  };

  async function fetchNewest() {
    state = (await (await answer('/api/state'))?.json()) ?? state;
    sample ??= await fetchSample();
  }

  function draw() {
    if (!state) return;
    const picture = analyse(state, sample, isOver);
    scope.postMessage(picture, [picture.xyz.buffer, picture.labels.buffer]);
  }
}

async function fetchSample(): Promise<Sample | null> {
  const got = await answer('/api/sample');
  if (!got) return null;
  const dim = Number(got.headers.get('x-dim'));
  const bytes = await got.arrayBuffer();
  return dim > 0 && bytes.byteLength ? { rows: new Float32Array(bytes), dim } : null;
}

async function answer(path: string): Promise<Response | null> {
  const got = await fetch(path, { cache: 'no-store' });
  return got.ok && got.status !== 204 ? got : null;
}
