/** What clusters, and joins of the tree above them, are called. */

/** By what a cluster has its name: words of its texts, columns, its number alone, a language model, or people. */
export const NAMED_BY = ['words', 'columns', 'number', 'model', 'hand'] as const;
export type NamedBy = (typeof NAMED_BY)[number];

export interface Name {
  name: string;
  namedBy: NamedBy;
}

/** Longer names fit neither a legend nor a map. Characters. */
export const MOST_CHARACTERS = 60;

/** Control characters, halves of pairs, and marks that change the direction of the text around them. */
const UNSHOWN = /[\p{Cc}\p{Surrogate}\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One line without control characters and with single spaces, at most 60 characters: names come from data and from people. */
export function tidyName(text: string, most = MOST_CHARACTERS): string {
  const characters = [...text.replace(/\s+/g, ' ').replace(UNSHOWN, '').trim()];
  if (characters.length <= most) return characters.join('');
  return `${characters
    .slice(0, most - 1)
    .join('')
    .trimEnd()}…`;
}

/** Of a cluster with nothing that tells it apart. */
export const numberName = (label: number): string => `cluster ${label}`;

/**
 * A name for each of the nodes, clusters and then joins, no two the same in any letter case. `candidates`: those of each node, the best one
 * first, but those that are too long last; nodes choose in their order, and one whose candidates are all taken numbers its first. `kept`:
 * names that nodes have already, and which are nobody else's. `labels`: of clusters, by which those are called that have no candidates;
 * joins then have null.
 */
export function nameClusters(
  candidates: readonly (readonly Name[])[],
  labels: readonly number[],
  kept: readonly (Name | null)[] = [],
): (Name | null)[] {
  const key = (name: string) => name.toLocaleLowerCase('en');
  const taken = new Set([
    ...kept.flatMap((own) => (own ? [key(own.name)] : [])),
    ...labels.map((label) => numberName(label)),
  ]);
  const isFree = ({ name }: Name) => !taken.has(key(name));
  return candidates.map((all, node): Name | null => {
    const before = kept[node];
    if (before) return before;
    const [fitting, cut] = [[], []] as Name[][];
    for (const { name, namedBy } of all) {
      const whole = tidyName(name, Number.POSITIVE_INFINITY);
      if (!whole) continue;
      if ([...whole].length <= MOST_CHARACTERS) fitting.push({ name: whole, namedBy });
      else cut.push({ name: tidyName(whole), namedBy });
    }
    const own = [...fitting, ...cut];
    const found = own.find(isFree) ?? (own.length ? numbered(own[0], isFree) : null);
    if (!found) return node < labels.length ? { name: numberName(labels[node]), namedBy: 'number' } : null;
    taken.add(key(found.name));
    return found;
  });
}

function numbered({ name, namedBy }: Name, isFree: (name: Name) => boolean): Name {
  for (let number = 2; ; number++) {
    const suffix = ` (${number})`;
    const next = { name: `${tidyName(name, MOST_CHARACTERS - suffix.length)}${suffix}`, namedBy };
    if (isFree(next)) return next;
  }
}

/** What a column says of the rows of a node: the median of its values there and in all other rows, or the shares of rows with a value. */
export interface TellingColumn {
  /** Such as `high income`, or `region = north`. */
  text: string;
  measure: 'median' | 'share';
  own: number;
  others: number;
}
