/** How long a worker took for its part of a round, ms. */
interface RoundTimes {
  round: number;
  /** Its first round of this kind, which may take longer: it has to get ready. */
  first: number;
  /** Of its part. */
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
/** A worker rests when rounds have waited for it alone for this long in all, ms, … */
const MOST_LOST_MS = 2000;
/** … for this many times as long. */
const REST_FACTOR = 10;

/** A worker that slows down all rounds. */
interface Slowness {
  /** How long the rounds since it was last as fast as others have waited for it alone, ms. */
  lost: number;
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

  /**
   * A round of this kind is over after `duration` ms, and has waited for the workers `last` when all others had finished. Where
   * it could have been over in a quarter of that time again and again, at the others' pace for each unit, they rest: even short rounds
   * add up. Their first round of a kind does not count.
   */
  roundEnded(kind: string, round: number, last: string[], duration: number, now: number): void {
    const timesOf = (worker: string) => this.#workers.get(worker)?.get(kind);
    const others = [...this.#workers.keys()].filter(
      (worker) => timesOf(worker)?.round === round && !last.includes(worker),
    );
    if (!others.length) return;
    for (const worker of others) this.#slow.delete(worker);
    const each = Math.max(...others.map((worker) => timesOf(worker)!.total / timesOf(worker)!.units));
    const most = Math.max(...others.map((worker) => timesOf(worker)!.units));
    for (const worker of last) {
      const own = timesOf(worker);
      if (own?.first === round) continue;
      const needed = each * Math.max(most, own?.round === round ? own.units : 0);
      const lost = duration - needed;
      const before = this.#slow.get(worker) ?? { lost: 0, restsUntil: 0 };
      const total = lost > LATE_FACTOR * needed ? before.lost + lost : 0;
      const restsUntil = total > MOST_LOST_MS ? now + REST_FACTOR * total : before.restsUntil;
      this.#slow.set(worker, { lost: total > MOST_LOST_MS ? 0 : total, restsUntil });
    }
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
