import type { RowContents } from '../view/cluster-details.ts';

/** Fetches rows of the data; null if they cannot be had. */
export type RowLoader = (rows: readonly number[]) => Promise<RowContents | null>;

/** Keeps the last answers: the pointer goes over the same clusters again and again. */
const MOST_KEPT = 200;

export function createRowLoader(): RowLoader {
  const kept = new Map<string, Promise<RowContents | null>>();
  return (rows) => {
    if (!rows.length) return Promise.resolve(null);
    const query = rows.join();
    const known = kept.get(query);
    if (known) return known;
    const loading = load(query).then((found) => {
      if (!found) kept.delete(query);
      return found;
    });
    kept.set(query, loading);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
    return loading;
  };
}

async function load(query: string): Promise<RowContents | null> {
  try {
    const response = await fetch(`api/rows?rows=${query}`);
    return response.ok ? await response.json() : null;
  } catch {
    // The stream reports a lost connection.
    return null;
  }
}
