import type { Outcome, RunInfo } from '../view/api.ts';
import type { Described } from '../view/cluster-details.ts';
import type { RunHistory } from '../view/history.ts';
import type { ModelView } from '../view/model-view.ts';
import type { Entry } from '../view/panels.ts';
import type { Crosstab } from './crosstab.ts';
import type { ExemplarView } from './exemplars.ts';

/** Everything that the report shows. Null means not available; `notes` say why. */
export interface ReportContents {
  run: RunInfo;
  /** What the configuration says beside the options. */
  about: Entry[];
  history: RunHistory | null;
  /** Points and clusters, on axes and on a map. */
  view: ModelView | null;
  map: ModelView | null;
  /** Of images. */
  exemplars: ExemplarView | null;
  /** The content of clusters.json. */
  described: Described | null;
  confusion: Crosstab | null;
  /** Number of true classes. */
  classes: number | null;
  /** Null if the run is not finished. */
  outcome: Outcome | null;
  notes: string[];
}
