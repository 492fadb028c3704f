import type { LabelledRows, Labels } from '../data/label-spec.ts';
import type { OpenSource } from '../data/open-options.ts';
import type { RunConfig } from './config.ts';
import type { ShownFiles } from './run-file.ts';

/**
 * How the files that a run was made of are read. What shows a run is given this, so that it loads no reader of any format; `READ_FILES` of
 * read-files.ts reads them all.
 */
export interface FileReaders {
  open: OpenSource;
  /** The labels of the rows, as `readLabels` of labels.ts. */
  labels(spec: string, rows?: LabelledRows): Promise<Labels>;
  /** Why what files have beside numbers is not to be shown of the rows of a run, as `shownProblem` of shown-files.ts. */
  changed(
    run: { config: Pick<RunConfig, keyof ShownFiles>; data: { shown?: ShownFiles } },
    wanted?: readonly (keyof ShownFiles)[],
  ): Promise<string | null>;
}
