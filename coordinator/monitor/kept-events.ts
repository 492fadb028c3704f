/** What of an event says whether it is still wanted when there are many. */
interface Told {
  type: string;
  accepted?: unknown;
  changed?: unknown;
}

/** Proposals that came to nothing, steps that changed nothing and checkpoints are most of what a long run tells. */
function isPassing({ type, accepted, changed }: Told): boolean {
  return (
    type === 'checkpoint' ||
    ((type === 'split' || type === 'merge') && !accepted) ||
    (type === 'step' && !changed)
  );
}

/** At most `most` of the events, in their order: the oldest passing ones go first, then the oldest. */
export function keptEvents<T extends Told>(events: T[], most: number): T[] {
  let excess = events.length - most;
  if (excess <= 0) return events;
  const kept = events.filter((event) => !(excess > 0 && isPassing(event) && excess--));
  return kept.slice(Math.max(0, kept.length - most));
}
