import type { ClusterTable } from '../view/cluster-table.ts';
import type { Crosstab } from './crosstab.ts';
import type { History } from './history.ts';
import type { ClusterView } from './pictures/clusters.ts';
import type { SubView } from './pictures/sub-clusters.ts';

/** A run as its run.json tells it. */
export interface RunFacts {
  versions: Record<string, string>;
  identity: string | null;
  config: Record<string, unknown>;
  data: { rows: number; dim: number; dtype: string; fingerprint: string };
  /** Null where it is not finished. */
  result: Scores | null;
}

export interface Scores {
  k: number;
  /** Null where labels are not known; so are the next two. */
  nmi: number | null;
  ari: number | null;
  acc: number | null;
  silhouette: number | null;
  loss: number | null;
  epochs: number;
  rounds: number;
  workers: number;
  seconds: number;
}

/** All that the report shows; null: not known, of which `notes` say why. */
export interface Contents {
  name: string;
  run: RunFacts;
  /** Of the checkpoint, where the run is not finished. */
  epoch: number | null;
  history: History | null;
  clusters: ClusterView | null;
  sub: SubView | null;
  table: ClusterTable | null;
  confusion: Crosstab | null;
  classes: number | null;
  notes: string[];
}
