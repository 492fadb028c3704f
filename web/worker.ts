import type { StateOf } from '../view/api.ts';
import { analyst, type Picture, type Sample } from './analyse.ts';

/** The part of a dedicated worker's scope that is used here; the DOM's types do not have it. */
interface Scope {
  onmessage: (() => void) | null;
  postMessage(message: Picture, transfer: Transferable[]): void;
}

/**
 * Runs in a Web Worker: at each message it fetches the newest state (the sample once), labels and projects it, and
 * posts a picture. Messages that come meanwhile count as one.
 */
export function work(scope: Scope): void {
  const analyse = analyst();
  let sample: Sample | null = null;
  let busy = false;
  let again = false;
  scope.onmessage = async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      try {
        await once();
      } catch {
        // The coordinator is gone or not ready: the next state is another chance.
      }
    }
    busy = false;
  };

  async function once() {
    const state = await answer('/api/state');
    if (!state) return;
    const parsed: StateOf | null = await state.json();
    if (!parsed?.k) return;
    sample ??= await fetchSample();
    const picture = analyse(parsed, sample);
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
