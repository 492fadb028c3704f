import type { RunEvent } from './events.ts';

/** What became of clusters in updates, in words. */

export type LineageEntry = Pick<Extract<RunEvent, { type: 'lineage' }>, 'what' | 'id' | 'from' | 'into'>;

const names = (ids: readonly number[] = []) => ids.join(' and ');

const TEXTS: Record<LineageEntry['what'], (entry: LineageEntry) => string> = {
  born: () => 'is new',
  split: ({ from }) => `is new, split from ${names(from)}`,
  merged: ({ into }) => `was merged into ${names(into)}`,
  gone: () => 'is gone',
  returned: () => 'has returned',
};

/** Such as `cluster 5 is new, split from 1`. */
export const lineageText = (entry: LineageEntry): string => `cluster ${entry.id} ${TEXTS[entry.what](entry)}`;
