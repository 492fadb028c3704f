import type { GatheredRun } from '../drawing/run-model.ts';
import type { Crosstab } from './crosstab.ts';
import type { ExemplarView } from './exemplars.ts';

/** Everything that the report shows. Null means not available; `notes` say why. */
export interface ReportContents extends GatheredRun {
  /** What the configuration says beside the options. */
  about: (readonly [name: string, value: string])[];
  /** Of images. */
  exemplars: ExemplarView | null;
  confusion: Crosstab | null;
  /** Number of true classes. */
  classes: number | null;
  /** Why pictures that could show points show none; also in `notes`. */
  withoutPoints: string | null;
  notes: string[];
}
