import { openSource } from '../data/open.ts';
import type { FileReaders } from './file-readers.ts';
import { readLabels } from './labels.ts';
import { shownProblem } from './shown-files.ts';

/** The readers of all formats. */
export const READ_FILES: FileReaders = { open: openSource, labels: readLabels, changed: shownProblem };
