/** Who gets how much work: how long each worker takes for rounds of each kind, when one is late, and which shards it has. Numbers alone: it knows no sockets, tasks or rows. */

/** How long a worker took for its part of a round, ms. */
interface RoundTimes {
  round: number;
  /** Its first round of this kind, which may take longer: it has to get ready. */
  first: number;
  /** Number of units that it was given. */
  units: number;
  /** The longest silence before an answer: about a unit. */
  longest: number;
  /** All silences together: its whole part. */
  total: number;
}

/** Shortest time after which a worker counts as late, ms: longer than a garbage collection or a busy machine delays it. */
export const MIN_LATE_MS = 300;
/** A worker is late after this many times the silence to be expected. */
export const LATE_FACTOR = 3;
/** How long an idle worker waits for others if it has never computed such units itself, ms. */
const UNKNOWN_LATE_MS = 2000;
/** A worker rests when rounds were slower with it than without by this much in all, ms, … */
const MOST_LOST_MS = 1000;
/** … for this many times as long, and for three times as long as before when the same is found again, … */
const [REST_FACTOR, REST_GROWTH] = [10, 3];
/** … up to this, ms. */
const LONGEST_REST_MS = 600_000;
/** A round has to be slower by this factor to count. */
const SLOWER = 1.2;

/** A worker that slows down all rounds. */
interface Slowness {
  /** How much slower than without it the rounds were since one was as fast, ms. */
  lost: number;
  /** How long it rests the next time, times `lost`. */
  factor: number;
  /** Until then it gets no units if there are other workers. */
  restsUntil: number;
}

/**
 * How long each worker takes for rounds of each kind. An idle worker's own past tells what it may expect of the others,
 * though all of them may be slow.
 */
export class Pace {
  readonly #workers = new Map<string, Map<string, RoundTimes>>();
  readonly #slow = new Map<string, Slowness>();

  /** A worker answered for so many units after this silence, in a round of this kind. */
  answered(worker: string, kind: string, round: number, silence: number, units = 1): void {
    const kinds = this.#workers.get(worker) ?? new Map<string, RoundTimes>();
    this.#workers.set(worker, kinds);
    const known = kinds.get(kind);
    const same = known?.round === round ? known : { longest: 0, total: 0, units: 0 };
    kinds.set(kind, {
      ...{ round, first: known?.first ?? round, units: same.units + units },
      ...{ longest: Math.max(same.longest, silence), total: same.total + silence },
    });
  }

  /** How long this worker may be idle before it takes over units of others, ms: until they are slower by far than it is. */
  patience(worker: string, kind: string): number {
    const known = this.#workers.get(worker)?.get(kind);
    return known ? Math.max(MIN_LATE_MS, LATE_FACTOR * known.longest, known.total) : UNKNOWN_LATE_MS;
  }

  /** The silence after which this worker is remarkably late by its own standard, ms; 0 if it has none. */
  lateAfter(worker: string, kind: string): number {
    return LATE_FACTOR * (this.#workers.get(worker)?.get(kind)?.longest ?? 0);
  }

  /** How long a unit takes this worker, ms; 0 if it never had one. */
  unitTime(worker: string, kind: string): number {
    const known = this.#workers.get(worker)?.get(kind);
    return known ? known.total / known.units : 0;
  }

  /**
   * A round of this kind and of so many units is over after `duration` ms; the workers `late` have not answered for all of theirs. The
   * fastest k workers would have needed k-th time of a unit × units / k without the others; k where that is least. Where the round took
   * longer, again and again, the others rest: their machines or their links cost more than they give. Returns who begins to. Their first
   * round of a kind does not count, as they have to get ready.
   */
  roundEnded(
    kind: string,
    round: number,
    late: string[],
    { duration, units }: { duration: number; units: number },
    now: number,
  ): string[] {
    const timesOf = (worker: string) => this.#workers.get(worker)?.get(kind);
    const timeOf = (worker: string) =>
      timesOf(worker)?.round === round && !late.includes(worker) ? this.unitTime(worker, kind) : Infinity;
    const present = [...new Set([...this.#workers.keys(), ...late])]
      .filter((worker) => timesOf(worker)?.round === round || late.includes(worker))
      .sort((a, b) => timeOf(a) - timeOf(b));
    const needed = present.map((worker, i) => timeOf(worker) * Math.ceil(units / (i + 1)));
    const least = Math.min(...needed);
    const enough = needed.lastIndexOf(least) + 1;
    const isSlower = duration > SLOWER * least;
    for (const worker of present.slice(0, isSlower ? enough : present.length)) {
      const before = this.#slow.get(worker);
      if (before) before.lost = 0;
    }
    if (!isSlower) return [];
    return present.slice(enough).filter((worker) => {
      if (timesOf(worker)?.first === round) return false;
      const slow = this.#slow.get(worker) ?? { lost: 0, factor: REST_FACTOR, restsUntil: 0 };
      this.#slow.set(worker, slow);
      slow.lost += duration - least;
      if (slow.lost <= MOST_LOST_MS) return false;
      slow.restsUntil = now + Math.min(LONGEST_REST_MS, slow.factor * slow.lost);
      Object.assign(slow, { lost: 0, factor: REST_GROWTH * slow.factor });
      return true;
    });
  }

  /** Is this worker so slow that it gets no units for a while? */
  rests(worker: string, now: number): boolean {
    return (this.#slow.get(worker)?.restsUntil ?? 0) > now;
  }

  forget(worker: string): void {
    this.#workers.delete(worker);
    this.#slow.delete(worker);
  }
}

/** The shards whose sample each worker has in memory. */
export type CachedShards = Map<string, Set<number>>;

/**
 * Assigns shards to workers, as many as each has room for, and moves as few as possible. A shard that moves goes to a worker that already has its
 * rows in memory, if there is one. Returns the owner of each shard; null without workers.
 */
export function assignShards(
  owners: (string | null)[],
  workers: string[],
  cached: CachedShards = new Map(),
  sizeOf: (worker: string) => number = () => 1,
): (string | null)[] {
  if (!workers.length) return owners.map(() => null);
  const owned = new Map(workers.map((worker) => [worker, 0]));
  for (const owner of owners) if (owner !== null && owned.has(owner)) owned.set(owner, owned.get(owner)! + 1);
  const all = workers.reduce((sum, worker) => sum + sizeOf(worker), 0);
  const quota = new Map(
    workers.map((worker) => [worker, Math.floor((owners.length * sizeOf(worker)) / all)]),
  );
  const extra = owners.length - [...quota.values()].reduce((sum, shards) => sum + shards, 0);
  const beyond = (worker: string) => owned.get(worker)! - quota.get(worker)!;
  for (const worker of [...workers].sort((a, b) => beyond(b) - beyond(a)).slice(0, extra))
    quota.set(worker, quota.get(worker)! + 1);
  /** Workers with room that have a shard's rows in memory. */
  const holders = new Map<number, string[]>();
  for (const worker of workers)
    if (owned.get(worker)! < quota.get(worker)!)
      for (const shard of cached.get(worker) ?? [])
        holders.set(shard, [...(holders.get(shard) ?? []), worker]);
  const out: (string | null)[] = owners.map(() => null);
  const assign = (shard: number, worker: string) => {
    out[shard] = worker;
    quota.set(worker, quota.get(worker)! - 1);
  };

  // Of an owner with too many shards, those that a receiver has in memory are the ones to move.
  for (const movesCheaply of [false, true])
    for (const [shard, owner] of owners.entries())
      if (holders.has(shard) === movesCheaply && owner !== null && quota.get(owner)) assign(shard, owner);
  const hasRoom = (worker: string) => quota.get(worker)! > 0;
  const withoutOwner = () => [...out.keys()].filter((shard) => out[shard] === null);
  for (const shard of withoutOwner()) {
    const worker = holders.get(shard)?.find(hasRoom);
    if (worker) assign(shard, worker);
  }
  let next = 0;
  for (const shard of withoutOwner()) {
    while (!hasRoom(workers[next])) next++;
    assign(shard, workers[next]);
  }
  return out;
}
