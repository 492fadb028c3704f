import type { SavedClusters, SavedTree } from '../data/saved/saved-clusters.ts';
import type { ClusterDetails } from '../view/cluster-details.ts';
import type { ClusterTable } from '../view/cluster-table.ts';
import type { Likelihood } from '../view/events.ts';
import type { Summary } from '../view/summary.ts';
import type { Crosstab } from './crosstab.ts';
import type { ExemplarView } from './exemplars.ts';
import type { RunHistory } from './history.ts';
import type { MapView } from './map-view.ts';
import type { ClusterView } from './pictures/clusters.ts';
import type { SubClusterView } from './pictures/sub-clusters.ts';

/** The parts of run.json that the report shows. */
export interface RunMetadata {
  versions: Record<string, string>;
  identity: string | null;
  config: Record<string, unknown>;
  data: { rows: number; dim: number; dtype: string; fingerprint: string };
  /** Where it was to be decided, or is the graph. `stability` is null where partitions of no resolution are stable. */
  likelihood?: { name: Likelihood; why: string; resolution?: number; stability?: number | null };
  /** Null if the run is not finished. */
  result: Summary | null;
}

/** Everything that the report shows. Null means not available; `notes` say why. */
export interface ReportContents {
  name: string;
  run: RunMetadata;
  /** The checkpoint's epoch if the run is not finished. */
  epoch: number | null;
  history: RunHistory | null;
  clusters: ClusterView | null;
  map: MapView | null;
  /** Of images. */
  exemplars: ExemplarView | null;
  subClusters: SubClusterView | null;
  table: ClusterTable | null;
  /** What clusters are; of a finished run. */
  descriptions: SavedClusters | null;
  tree: SavedTree | null;
  confusion: Crosstab | null;
  /** Number of true classes. */
  classes: number | null;
  /** What `clusters.json` says of each cluster; null if there is none. */
  details: Map<number, ClusterDetails> | null;
  notes: string[];
}
