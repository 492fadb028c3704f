/** How much of each thing there is in states and results of tasks. Apart, so that their schemas load none of the algorithms. */

/** Quartiles, and what takes their place where they are equal. */
export const QUANTILES = [0.25, 0.75, 0.001, 0.999] as const;

/** Clusters in which a row is kept: those with its largest memberships. */
export const KEPT_MEMBERSHIPS = 4;

/** Rows of each cluster that are its exemplars, and of those at its border. */
export const MOST_SHOWN = 10;

/** The most terms of a table: far more than there are keywords of a thousand clusters, in 100 MB. */
export const MOST_TERMS = 1 << 17;
