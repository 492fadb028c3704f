import { rowsAt } from '../../../data/remote/read-ahead.ts';
import type { Source } from '../../../data/source.ts';
import type { Transform } from '../../../data/transform.ts';
import type { MapNet } from '../../../model/graph/map-net.ts';
import { LAID_OUT } from '../../../model/graph/map-training.ts';
import { generator, stratified } from '../../../model/random.ts';
import { readBase } from '../../../run/base-run.ts';
import { readModel } from '../../../run/model-file.ts';
import { recordedHashes, runFiles } from '../../../run/run-files.ts';
import type { Ports, Update } from '../run-state.ts';

/** The map of all rows: some of them are laid out while clusters are trained; in the full pass a net places all. */

/** Numbers that are read at most. */
const MOST_READ = 1 << 23;

type MapContext = Ports<'config' | 'trainer' | 'update'>;

/** Begins to lay out rows of `source`. Whoever needs the net gets the error if that fails. */
export function startMap(
  { config, trainer }: MapContext,
  source: Source,
  transform: Transform,
  before?: { net: MapNet; transform: Transform },
): Promise<MapNet> {
  const { rows, dim } = source;
  const count = Math.min(rows, LAID_OUT, Math.max(1, Math.floor(MOST_READ / dim)));
  const numbers = stratified(rows, count, generator(config.seed, 'map-rows'));
  const net = rowsAt(source, numbers).then((laidOut) => trainer.mapNet(transform, laidOut, before));
  net.catch(() => {});
  return net;
}

/** The net of the run that is updated, so that rows keep their places; after another transform one that has learned them. */
export function updatedMap(context: MapContext, { sample, transform: old }: Update, transform: Transform) {
  const { refit } = context.update!;
  const { model } = readBase(context.update!, (at) => readModel(runFiles(at, recordedHashes(at))));
  const net = { dim: old.dim, ...model.map! };
  return refit ? startMap(context, sample, transform, { net, transform: old }) : Promise.resolve(net);
}
