/** The shards whose sample each worker has in memory. */
export type CachedShards = Map<string, Set<number>>;

/**
 * Assigns shards evenly to workers and moves as few as possible. A shard that moves goes to a worker that already has its
 * rows in memory, if there is one. Returns the owner of each shard; null without workers.
 */
export function assignShards(
  owners: (string | null)[],
  workers: string[],
  cached: CachedShards = new Map(),
): (string | null)[] {
  if (!workers.length) return owners.map(() => null);
  const owned = new Map(workers.map((worker) => [worker, owners.filter((owner) => owner === worker).length]));
  const least = Math.floor(owners.length / workers.length);
  let extra = owners.length % workers.length;
  const quota = new Map<string, number>();
  for (const worker of [...workers].sort((a, b) => owned.get(b)! - owned.get(a)!))
    quota.set(worker, least + (extra-- > 0 ? 1 : 0));
  const receivers = workers.filter((worker) => owned.get(worker)! < quota.get(worker)!);
  const hasCached = (worker: string, shard: number) => cached.get(worker)?.has(shard) ?? false;
  const out: (string | null)[] = owners.map(() => null);
  const assign = (shard: number, worker: string) => {
    out[shard] = worker;
    quota.set(worker, quota.get(worker)! - 1);
  };

  // Of an owner with too many shards, those that a receiver has in memory are the ones to move.
  const movesCheaply = (shard: number) => Number(receivers.some((worker) => hasCached(worker, shard)));
  const byCost = [...owners.keys()].sort((a, b) => movesCheaply(a) - movesCheaply(b) || a - b);
  for (const shard of byCost) {
    const owner = owners[shard];
    if (owner !== null && quota.get(owner)) assign(shard, owner);
  }
  for (const onlyCached of [true, false])
    for (const [shard, owner] of out.entries()) {
      if (owner !== null) continue;
      const worker = workers.find((w) => quota.get(w)! > 0 && (!onlyCached || hasCached(w, shard)));
      if (worker) assign(shard, worker);
    }
  return out;
}
