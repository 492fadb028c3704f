import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { assertRoom } from '../cache.ts';
import { createNpyBytes } from '../npy.ts';
import type { Decoder, ImageHeader, ImageProblem, ImageShape } from './decoder.ts';
import type { ImageFolder } from './folder.ts';

/** How the images of a folder become rows. */
export interface ImageForm {
  /** Every image is scaled to this size, in pixels; null: all have the same. */
  size: { width: number; height: number } | null;
  /** Of each pixel; undefined: 1 if all images are grey, else 3. */
  channels?: 1 | 3;
}

/** What is to be known of decoded images besides their pixels. */
export interface DecodedImages {
  /** Those that could not be decoded and are not among the rows, in order. */
  skipped: { name: string; problem: string }[];
  /** How many of the rows are grey, and how many there are. */
  grey: number;
  count: number;
}

export interface DecodeOptions {
  decoder: Decoder;
  form: ImageForm;
  /** Says how far it is, now and then. */
  log: (line: string) => void;
  /** The same for each image. */
  status?: (text: string) => void;
  signal?: AbortSignal;
}

/** Images in memory at the same time: as many as threads of Node.js decode. */
const AT_ONCE = Math.min(4, availableParallelism());
/** Pixels of these together: four photos of usual cameras. A larger image is alone. */
const PIXELS_AT_ONCE = 50_000_000;
/** Rows of more numbers are too many for all that follows. */
const MOST_NUMBERS = 1 << 20;
const MS_BETWEEN_LINES = 5000;

/**
 * Writes the pixels of all images that can be decoded as an .npy of bytes, a few at a time, and after its array, where NumPy does
 * not look, a `DecodedImages` as JSON. UserError if they have different sizes, are too large, or none can be decoded.
 */
export async function decodeFolder(
  folder: ImageFolder,
  target: string,
  { decoder, form, log, status, signal }: DecodeOptions,
): Promise<void> {
  const problems = new Map<string, string>();
  const count = folder.names.length;
  const tell = reporter(count, log, status);
  /** Results of images without a problem, in order. */
  async function* results<T extends object>(
    what: string,
    names: readonly string[],
    read: (path: string) => Promise<T | ImageProblem>,
    pixelsOf: (name: string) => number,
  ): AsyncGenerator<{ name: string; result: T }> {
    let done = 0;
    for await (const { name, result } of inOrder(names, (name) => read(join(folder.path, name)), pixelsOf)) {
      signal?.throwIfAborted();
      tell(what, ++done);
      if ('problem' in result) problems.set(name, result.problem);
      else yield { name, result };
    }
  }

  /**
   * Tries images until of each size and colours there is one that can be decoded, and leaves out those that cannot be: they have no
   * say in the shape of all rows. Their headers do not tell, as of a file that is cut off.
   */
  async function leaveOutOdd(): Promise<void> {
    const kinds = new Set<string>();
    for (const [name, header] of headers) {
      // Sizes differ, whatever the others have.
      if (!form.size && kinds.size > 2) return;
      const kind = `${form.size ? '' : sizeText(header)} ${form.channels ?? header.isGrey}`;
      if (kinds.has(kind)) continue;
      signal?.throwIfAborted();
      const result = await decoder.pixels(join(folder.path, name), [1, 1], true);
      if ('problem' in result) {
        problems.set(name, result.problem);
        headers.delete(name);
      } else kinds.add(kind);
    }
  }

  const sound = folder.names.filter((name) => {
    // It could pass for two in a list of names; or Node.js shows bytes in it in another way and cannot find it.
    if (oneLine(name).includes('\ufffd'))
      problems.set(name, 'its name has control characters, or is not UTF-8');
    return !problems.has(name);
  });
  const headers = new Map<string, ImageHeader>();
  for await (const { name, result } of results('looked at', sound, decoder.header, () => 0))
    headers.set(name, result);
  await leaveOutOdd();
  if (!headers.size) throw noneDecoded(folder, problems);
  const shape = shapeOf(folder, headers, form);
  const rowBytes = shape.reduce<number>((product, length) => product * length, 1);
  assertRoom(target, folder.path, headers.size * rowBytes);
  const writer = createNpyBytes(target, '|u1', [headers.size, ...shape], { mode: 0o600 });
  try {
    let rows = 0;
    const pixels = (path: string) => decoder.pixels(path, shape, form.size !== null);
    const pixelsOf = (name: string) => headers.get(name)!.width * headers.get(name)!.height;
    for await (const { result } of results('decoded', [...headers.keys()], pixels, pixelsOf))
      writer.write(result, rows++ * rowBytes);
    if (!rows) throw noneDecoded(folder, problems);
    const grey = [...headers].filter(([name, header]) => header.isGrey && !problems.has(name));
    const about: DecodedImages = {
      skipped: folder.names.flatMap((name) =>
        problems.has(name) ? [{ name, problem: problems.get(name)! }] : [],
      ),
      grey: grey.length,
      count: rows,
    };
    writer.finish([rows, ...shape], Buffer.from(JSON.stringify(about)));
  } catch (error) {
    writer.abort();
    throw error;
  }
}

/** The results for these images in their order, of which a few are computed at the same time. */
export async function* inOrder<R>(
  names: readonly string[],
  compute: (name: string) => Promise<R>,
  pixelsOf: (name: string) => number,
): AsyncGenerator<{ name: string; result: R }> {
  const pending: { name: string; result: Promise<R> }[] = [];
  let pixels = 0;
  const hasRoom = (name: string) =>
    !pending.length || (pending.length < AT_ONCE && pixels + pixelsOf(name) <= PIXELS_AT_ONCE);
  for (let next = 0; next < names.length || pending.length; ) {
    while (next < names.length && hasRoom(names[next])) {
      const name = names[next++];
      pixels += pixelsOf(name);
      const result = compute(name);
      result.catch(() => {});
      pending.push({ name, result });
    }
    const { name, result } = pending.shift()!;
    yield { name, result: await result };
    pixels -= pixelsOf(name);
  }
}

function reporter(count: number, log: (line: string) => void, status?: (text: string) => void) {
  let last = performance.now();
  return (what: string, done: number) => {
    const text = `${what} ${done.toLocaleString('en')} of ${count.toLocaleString('en')} images`;
    status?.(text);
    if (performance.now() - last < MS_BETWEEN_LINES) return;
    last = performance.now();
    log(text);
  };
}

/** The shape of all rows. UserError if they have different ones, or too many numbers. */
function shapeOf(
  { path }: ImageFolder,
  headers: Map<string, ImageHeader>,
  { size, channels }: ImageForm,
): ImageShape {
  const { width, height } = size ?? commonSize(path, headers, channels !== undefined);
  const isGrey = channels ? channels === 1 : [...headers.values()].every(({ isGrey }) => isGrey);
  const shape = isGrey ? ([height, width] as const) : ([height, width, 3] as const);
  const numbers = height * width * (isGrey ? 1 : 3);
  if (numbers <= MOST_NUMBERS) return shape;
  throw new UserError(
    `${path}: images of ${sizeText({ width, height })} make rows of ${numbers.toLocaleString('en')} numbers, more than ${MOST_NUMBERS.toLocaleString('en')}: scale them down, as with --image-size 64`,
  );
}

type Size = { width: number; height: number };

/** `isTrained`: images are to be like those of a run, which were not scaled. */
function commonSize(path: string, headers: Map<string, ImageHeader>, isTrained: boolean): Size {
  const counts = new Map<string, number>();
  for (const header of headers.values()) {
    const text = sizeText(header);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const [[usual, count]] = [...counts].sort(([, a], [, b]) => b - a);
  const all = [...headers];
  const odd = all.find(([, header]) => sizeText(header) !== usual);
  if (!odd) return all[0][1];
  throw new UserError(
    `${path}: images have different sizes: ${odd[0]} is ${sizeText(odd[1])}, ${count.toLocaleString('en')} of ${all.length.toLocaleString('en')} are ${usual} (width × height); scale all to one size, ${isTrained ? 'that of the images of the run' : 'as with --image-size 28 or --image-size 32x24'}`,
  );
}

const sizeText = ({ width, height }: Size) => `${width} × ${height}`;

function noneDecoded({ path, names }: ImageFolder, problems: Map<string, string>): UserError {
  const [[name, problem]] = problems;
  return new UserError(
    `${path}: none of the ${names.length.toLocaleString('en')} images can be read: ${oneLine(name)} (${problem}), …; name a folder of PNG or JPEG files`,
  );
}
