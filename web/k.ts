import type { Store } from './store.ts';

type Course = Pick<Store, 'epochs' | 'events'>;

/**
 * K now. An epoch tells the K that it trained with; the split or merge step at its end, and a resume after it, tell a
 * newer one.
 */
export function kNow({ epochs, events }: Course): number | undefined {
  const told = events.findLast((event) => event.type === 'step' || event.type === 'resume');
  const newer = told && told.epoch >= (epochs.epoch.at(-1) ?? 0);
  return newer ? told.k : epochs.k.at(-1);
}

/** K after each epoch and the step at its end: what the next epoch trained with. */
export function kAfter(course: Course): number[] {
  const { k } = course.epochs;
  return k.map((own, i) => k[i + 1] ?? kNow(course) ?? own);
}
