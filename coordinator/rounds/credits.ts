/** How many bytes of large results may be on their way here at a time, of all workers together. */

/** Bytes on their way here, unless a single result has more. */
const MOST_BYTES = 1 << 26;

interface Waiting {
  worker: string;
  bytes: number;
  /** The first shard that they are about. */
  first: number;
}

/**
 * Asks for large results while there is room: a thousand that come at once would need memory for all of them. Those of the first shards
 * come first, so that neighbours in the tree of sums are added up soon. `now`: ms.
 */
export function createCredits(ask: (worker: string) => void, now: () => number, most = MOST_BYTES) {
  const waiting: Waiting[] = [];
  const asked: (Waiting & { at: number })[] = [];
  let bytes = 0;

  function grant(): void {
    while (waiting.length && (!asked.length || bytes + waiting[0].bytes <= most)) {
      const next = waiting.shift()!;
      asked.push({ ...next, at: now() });
      bytes += next.bytes;
      ask(next.worker);
    }
  }

  function remove(index: number): void {
    const [{ bytes: own }] = asked.splice(index, 1);
    bytes -= own;
  }

  return {
    /** A worker has such results. */
    ready(result: Waiting): void {
      const place = waiting.findIndex(({ first }) => first > result.first);
      waiting.splice(place < 0 ? waiting.length : place, 0, result);
      grant();
    },
    /** The results that a worker was asked for first have come. */
    received(worker: string): void {
      const index = asked.findIndex((one) => one.worker === worker);
      if (index < 0) return;
      remove(index);
      grant();
    },
    /** A worker has left, or is connected anew: what it had is void. */
    forget(worker: string): void {
      for (let i = waiting.length - 1; i >= 0; i--) if (waiting[i].worker === worker) waiting.splice(i, 1);
      for (let i = asked.length - 1; i >= 0; i--) if (asked[i].worker === worker) remove(i);
      grant();
    },
    /** Nothing of what was ready counts any more. */
    clear(): void {
      waiting.length = asked.length = bytes = 0;
    },
    /** Workers that were asked longer than `patience` ms ago and have not answered: others need not wait for them. */
    expired(patience: number): string[] {
      const late = asked.filter(({ at }) => now() - at > patience).map(({ worker }) => worker);
      for (let i = asked.length - 1; i >= 0; i--) if (now() - asked[i].at > patience) remove(i);
      grant();
      return late;
    },
  };
}
