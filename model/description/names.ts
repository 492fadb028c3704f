/** What clusters, and joins of the tree above them, are called. */

/** By what a cluster has its name: words of its texts, columns, its number alone, or people. */
export const NAMED_BY = ['words', 'columns', 'number', 'hand'] as const;
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
 * first, but those that are too long last; nodes choose in their order. `kept`: names that nodes have already, and which are nobody else's. `labels`: of clusters, by which
 * those are called that get none; joins then have null.
 */
export function nameClusters(
  candidates: readonly (readonly string[])[],
  by: Exclude<NamedBy, 'number' | 'hand'>,
  labels: readonly number[],
  kept: readonly (Name | null)[] = [],
): (Name | null)[] {
  const key = (name: string) => name.toLocaleLowerCase('en');
  const taken = new Set([
    ...kept.flatMap((own) => (own ? [key(own.name)] : [])),
    ...labels.map((label) => numberName(label)),
  ]);
  return candidates.map((names, node): Name | null => {
    const before = kept[node];
    if (before) return before;
    const [fitting, cut] = [[], []] as string[][];
    for (const name of names.map((one) => tidyName(one, Number.POSITIVE_INFINITY)).filter(Boolean))
      if ([...name].length <= MOST_CHARACTERS) fitting.push(name);
      else cut.push(tidyName(name));
    const name = [...fitting, ...cut].find((one) => !taken.has(key(one)));
    if (name === undefined)
      return node < labels.length ? { name: numberName(labels[node]), namedBy: 'number' } : null;
    taken.add(key(name));
    return { name, namedBy: by };
  });
}
