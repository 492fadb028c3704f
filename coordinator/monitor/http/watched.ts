import type { Source } from '../../../data/source.ts';
import type { Layout } from '../../../model/layout.ts';
import type { RunConfig } from '../../config.ts';
import type { Server } from '../../scheduler/server.ts';
import type { Counters } from '../counters.ts';
import type { Recorder } from '../recorder.ts';

/** The run as its HTTP port sees it. */
export interface Watched {
  /** Of the run directory: its name and its path. */
  name: string;
  out: string;
  config: RunConfig;
  versions: Record<string, string>;
  layout: Layout;
  source: Source;
  server: Server;
  recorder: Recorder;
  counters: Counters;
  controls: Controls;
}

/** What may be asked of a run from outside. Each gives null, or why it cannot be done now. */
export interface Controls {
  pause(): string | null;
  resume(): string | null;
  /** Resolves when the checkpoint is written. */
  checkpoint(): Promise<string | null>;
  stop(): string | null;
}
