/** Which worker has which shard in memory. */
export type Holders = Map<string, Set<number>>;

/**
 * Assigns shards evenly to workers, moving as few as possible from the owners they have, and where one moves, if
 * possible to a worker that has its rows in memory already.
 */
export function assignShards(
  owners: (string | null)[],
  workers: string[],
  holders: Holders = new Map(),
): (string | null)[] {
  if (!workers.length) return owners.map(() => null);
  const held = new Map(workers.map((worker) => [worker, owners.filter((owner) => owner === worker).length]));
  const least = Math.floor(owners.length / workers.length);
  let extra = owners.length % workers.length;
  const quota = new Map<string, number>();
  for (const worker of [...workers].sort((a, b) => held.get(b)! - held.get(a)!))
    quota.set(worker, least + (extra-- > 0 ? 1 : 0));
  const takers = workers.filter((worker) => held.get(worker)! < quota.get(worker)!);
  const has = (worker: string, shard: number) => holders.get(worker)?.has(shard) ?? false;
  const take = (worker: string) => void quota.set(worker, quota.get(worker)! - 1);

  const out: (string | null)[] = owners.map(() => null);
  const wanted = (shard: number) => Number(takers.some((worker) => has(worker, shard)));
  const staying = [...owners.keys()].sort((a, b) => wanted(a) - wanted(b) || a - b);
  for (const shard of staying) {
    const owner = owners[shard];
    if (owner === null || !quota.get(owner)) continue;
    out[shard] = owner;
    take(owner);
  }
  for (const knows of [true, false])
    for (const [shard, owner] of out.entries()) {
      const worker = owner === null && workers.find((w) => quota.get(w)! > 0 && (!knows || has(w, shard)));
      if (!worker) continue;
      out[shard] = worker;
      take(worker);
    }
  return out;
}
