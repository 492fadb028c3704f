import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import { withLogarithms } from '../data/logarithm.ts';
import { tuple } from '../data/npy.ts';
import { isImageFolder, openSource } from '../data/open.ts';
import type { ImageOptions } from '../data/open-options.ts';
import type { Source } from '../data/source.ts';
import type { TableOptions } from '../data/tables/table-options.ts';
import { columnsOf, type TrainedModel } from './trained-model.ts';

type Hooks = Required<Pick<ImageOptions, 'warn' | 'log'>> &
  Pick<ImageOptions, 'status' | 'signal'> & { skipBad: boolean };

/** Opens rows that are new to the model of the run at `run`. UserError where they do not fit it. The caller has to close the source. */
export async function openForModel(
  trained: TrainedModel,
  run: string,
  data: string | Source,
  { skipBad, log, warn, status, signal }: Hooks,
): Promise<Source> {
  const { images, logged } = trained;
  const columns = columnsOf(trained);
  const name = typeof data === 'string' ? data : 'data';
  if (typeof data === 'string' && isImageFolder(data)) assertTrainedOnBytes(trained, data, run);
  const source =
    typeof data === 'string'
      ? await openSource(data, {
          table: tableForModel(trained, run),
          logged,
          log,
          status,
          images: { ...imagesOf(images), skipBad, warn, log, status, signal },
        })
      : withLogarithms(data, logged, name);
  try {
    if (source.table?.note) warn(source.table.note);
    if (source.table?.filled) log(`${name}: ${source.table.filled}`);
    if (source.shape && images) assertSameShape(name, source.shape, images.shape, run);
    if (source.dim !== columns)
      throw new UserError(
        `${name} has ${source.dim} columns, the run ${run} was trained on ${columns}: pass rows of the same columns`,
      );
    return source;
  } catch (error) {
    source.close();
    throw error;
  }
}

/** How a table of rows that are new to the model is read. */
export const tableForModel = (trained: TrainedModel, run: string): TableOptions => ({
  ...trained.table,
  // Every row gets a label.
  impute: trained.table.impute === 'drop' ? null : trained.table.impute,
  trained: {
    names: trained.names,
    fill: trained.table.fill,
    categories: trained.table.categories,
    width: columnsOf(trained),
    run,
  },
});

/** Images become rows like those of the run. */
function imagesOf(trained: TrainedModel['images']): Pick<ImageOptions, 'size' | 'channels'> {
  if (!trained) return { size: null };
  const [height, width, channels] = trained.shape;
  const size = trained.isScaled ? `${width}x${height}` : null;
  return { size, channels: channels === 3 ? 3 : 1 };
}

/** UserError if pixels from 0 to 255 are not what the run knows: rows of other types mostly have pixels from 0 to 1. */
function assertTrainedOnBytes({ dtype, images }: TrainedModel, data: string, run: string): void {
  if (dtype === 'uint8') return;
  const trained = oneLine(`${dtype ?? 'unknown'} ${images ? 'images' : 'rows'}`);
  throw new UserError(
    `the run ${run} was trained on ${trained}, a folder has bytes: save the images of ${data} as an .npy like that of the run`,
  );
}

/** UserError if images have another size than those of the run, or if its rows have their pixels in another order. */
function assertSameShape(name: string, shape: readonly number[], trained: readonly number[], run: string) {
  // One channel is none.
  const same = [shape, trained].map((lengths) => lengths.filter((length, i) => i < 2 || length !== 1).join());
  if (same[0] !== same[1])
    throw new UserError(
      `${name} has images of shape ${tuple(shape)} (height, width, channels), the run ${run} was trained on rows of shape ${tuple(trained)}: scale them to the same size`,
    );
}
