import type { PastUpdate } from '../../model/stream/findings.ts';
import type { Described } from '../../run/described.ts';
import type { RunHistory } from '../../run/history.ts';
import type { SampledMap } from '../../run/whole-map.ts';
import type { RowContents } from './api.ts';
import { base64Of, bytesIn, type Outcome, type RunInfo } from './api.ts';
import { type MapSource, ofSample, type PackedMap, packedMap, unpackedMap } from './map.ts';
import type { ModelView } from './model-view.ts';

/**
 * A run as a page has it, wherever it comes from: a coordinator as the run goes on, `dpmesh view` of a run directory, or the page's own file. Who shows it
 * knows only this; what differs lies at the source.
 */

/** What a page asks of a run. Null: not there, not yet, or it cannot be had. */
export interface RunSource {
  info(): Promise<RunInfo | null>;
  outcome(): Promise<Outcome | null>;
  described(): Promise<Described | null>;
  /** Of an update, once it is done: those up to it. */
  updates(): Promise<PastUpdate[] | null>;
  /** Rows of the data. */
  rows(rows: readonly number[]): Promise<RowContents | null>;
  /** The map of all rows, once the run is done. `later`: it is being made. */
  map(): Promise<MapSource | 'later' | null>;
}

/** Where a server answers what needs no arguments. */
export const ANSWERS = {
  info: 'api/run',
  outcome: 'api/result',
  described: 'api/clusters',
  updates: 'api/updates',
} as const satisfies Partial<Record<keyof RunSource, string>>;

/** A finished run that is gathered as a whole. Null: not available. */
export interface GatheredRun {
  run: RunInfo;
  history: RunHistory | null;
  /** Points and clusters, on axes and on a map. */
  view: ModelView | null;
  map: ModelView | null;
  /** A sample of all rows on a map, with names. */
  whole: SampledMap | null;
  /** Null if the run is not finished. */
  outcome: Outcome | null;
  /** The content of clusters.json. */
  described: Described | null;
  /** Of an update: those up to it, and the first run. */
  updates: PastUpdate[] | null;
}

/** What of a gathered run answers a page; `rows`: from where else these come. */
export const ofGathered = (
  { run, outcome, described, updates, whole }: GatheredRun,
  rows: RunSource['rows'],
): RunSource => ({
  info: async () => run,
  outcome: async () => outcome,
  described: async () => described,
  updates: async () => updates,
  map: async () => whole && ofSample(whole),
  rows,
});

/** The arrays of a view that a file has in base64. */
const ARRAYS = {
  centres: Float64Array,
  covariances: Float64Array,
  xyz: Float32Array,
  labels: Int32Array,
  rows: Float64Array,
} as const;
type ArrayName = keyof typeof ARRAYS;
const NAMES = Object.keys(ARRAYS) as ArrayName[];

/** A view as JSON can have it. */
type PackedView = Omit<ModelView, ArrayName> & Record<ArrayName, string>;

/** A gathered run as JSON can have it: what the page of a finished run has in it. */
export interface PackedRun extends Omit<GatheredRun, 'view' | 'map' | 'whole'> {
  /** `dpmesh view` serves the page, rows of the data, and the map of all rows. */
  isServed: boolean;
  view: PackedView | null;
  map: PackedView | null;
  whole: PackedMap | null;
}

export function packedRun(gathered: GatheredRun, isServed: boolean): PackedRun {
  const { run, outcome, described, updates, history, view, map, whole } = gathered;
  return {
    ...{ run, outcome, isServed, described, updates, history },
    view: view && packedView(view),
    map: map && packedView({ ...map, typical: [] }),
    whole: whole && !isServed ? packedMap(whole) : null,
  };
}

export const unpackedRun = ({ view, map, whole, ...rest }: PackedRun): GatheredRun => ({
  ...rest,
  view: view && unpackedView(view),
  map: map && unpackedView(map),
  whole: whole && unpackedMap(whole),
});

function packedView(view: ModelView): PackedView {
  const packed = NAMES.map((name) => {
    const { buffer, byteOffset, byteLength } = view[name];
    return [name, base64Of(new Uint8Array(buffer, byteOffset, byteLength))];
  });
  return { ...view, ...Object.fromEntries(packed) };
}

function unpackedView(view: PackedView): ModelView {
  const arrays = NAMES.map((name) => [name, new ARRAYS[name](bytesIn(view[name]).buffer)]);
  return { ...view, ...Object.fromEntries(arrays) };
}
