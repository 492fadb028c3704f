import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readWhole } from '../../base/files.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { elementCount } from '../../model/arrays.ts';
import { assertRoom, assertVersion, openCached } from '../cache.ts';
import { closeArray, createNpyBytes, openNpy, readAppendix } from '../npy.ts';
import type { ImageOptions } from '../open-options.ts';
import { type ImageFolder, readImageFolder } from './folder.ts';

/** A folder of images as rows of pixels, decoded once into an .npy in the cache. Which folder is one of images, open.ts decides. */

/** What is to be known of decoded images besides their pixels; written after the array, where NumPy does not look. */
interface DecodedImages {
  /** Those that could not be decoded and are not among the rows, in order. */
  skipped: { name: string; problem: string }[];
  /** How many of the rows are grey, and how many there are. */
  grey: number;
  count: number;
}

/** Bad images that a message names. */
const MOST_NAMED = 3;
/** Images in memory at the same time: as many as threads of Node.js decode. */
const AT_ONCE = Math.min(4, availableParallelism());
/** Pixels of these together: four photos of usual cameras. A larger image is alone. */
const PIXELS_AT_ONCE = 50_000_000;
/** Rows of more numbers are too many for all that follows. */
const MOST_NUMBERS = 1 << 20;
const MS_BETWEEN_LINES = 5000;

/**
 * Opens a folder of PNG and JPEG images, which are decoded once into an .npy in the cache; `names`: their paths in the folder, by row.
 * Rejects with a UserError if some cannot be decoded, unless they may be skipped; if they have different sizes and are not scaled; if
 * there are none; or if they cannot be those that are expected. `assertSame` throws one if the folder has other images by now.
 */
export async function openImages(path: string, options: ImageOptions) {
  const { size, channels, skipBad, expected, warn = () => {} } = options;
  const folder = readImageFolder(path);
  const all = folder.names.length;
  if (expected) assertExpected(folder, expected, skipBad);
  const versionOf = () => readImageFolder(path).version;
  const decoder = await loadDecoder(path);
  const [width, height] = size?.split('x').map(Number) ?? [];
  const form = { size: size === null ? null : { width, height }, channels };
  const { copy, ...file } = await openCached(
    path,
    `images ${decoder.version} ${JSON.stringify(form)}`,
    (target) => decodeFolder(folder, target, decoder, form, options),
    (target) => openNpy(target, path),
    { version: folder.version, versionOf },
  );
  try {
    const about: DecodedImages = JSON.parse(readAppendix(file).toString());
    const skipped = new Set(about.skipped.map(({ name }) => name));
    const bad = `${path}: ${badImages(about, all)}`;
    if (skipped.size && !skipBad)
      throw new UserError(
        `${bad}: repair or remove them${skipped.size < all ? ', or leave them out with --skip-bad' : ''}`,
      );
    if (skipped.size) warn(`${bad}: left out`);
    const note = noteOnColours(about, file.shape.length === 3);
    if (note) warn(`${path}: ${note}`);
    return {
      file,
      copy,
      names: folder.names.filter((name) => !skipped.has(name)),
      assertSame: () => assertVersion(path, folder.version, versionOf),
    };
  } catch (error) {
    closeArray(file);
    throw error;
  }
}

/**
 * UserError if a folder has not the images of a run: whoever handed the run over may have named any folder, and decoding it may
 * take hours. Those that were left out are in no list; they are seldom more than the others.
 */
function assertExpected(
  { path, names }: ImageFolder,
  { rows, names: expected }: NonNullable<ImageOptions['expected']>,
  skipBad: boolean,
): void {
  if (names.length < rows || names.length > (skipBad ? 2 : 1) * rows)
    throw new UserError(`${path} now has ${names.length} images; the run had ${rows}`);
  const found = new Set(names);
  if (expected && !(expected.length === rows && expected.every((name) => found.has(name))))
    throw new UserError(`${path} has other images than the run had`);
}

function badImages({ skipped }: DecodedImages, count: number): string {
  const named = skipped.slice(0, MOST_NAMED).map(({ name, problem }) => `${oneLine(name)} (${problem})`);
  const rest = skipped.length > MOST_NAMED ? ', …' : '';
  return `${counted(skipped.length)} of ${counted(count)} images cannot be decoded: ${named.join(', ')}${rest}`;
}

const counted = (count: number) => count.toLocaleString('en');

/** Null if all images are as the rows. */
function noteOnColours({ grey, count }: DecodedImages, isGrey: boolean): string | null {
  const coloured = count - grey;
  if (isGrey) return coloured ? `${coloured} of ${count} images have colours and were made grey` : null;
  return grey
    ? `${grey} of ${count} images are grey: they have three equal channels, as others have colours`
    : null;
}

/** How images become rows: every image is scaled to this size, in pixels; null: all have the same. */
type ImageForm = { size: Size | null } & Pick<ImageOptions, 'channels'>;

/**
 * Writes the pixels of all images that can be decoded as an .npy of bytes, a few at a time. UserError if they have different sizes, are
 * too large, or none can be decoded.
 */
async function decodeFolder(
  folder: ImageFolder,
  target: string,
  decoder: Decoder,
  form: ImageForm,
  { log = () => {}, status, signal }: ImageOptions,
): Promise<void> {
  const problems = new Map<string, string>();
  const count = counted(folder.names.length);
  log(`decoding ${count} images of ${folder.path} …`);
  let last = performance.now();
  const tell = (text: string) => {
    status?.(text);
    if (performance.now() - last < MS_BETWEEN_LINES) return;
    last = performance.now();
    log(text);
  };
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
      tell(`${what} ${counted(++done)} of ${count} images`);
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
  const rowBytes = elementCount(shape);
  assertRoom(target, folder.path, headers.size * rowBytes);
  const writer = createNpyBytes(target, '|u1', [headers.size, ...shape], { mode: 0o600 });
  try {
    let rows = 0;
    const pixels = (path: string) => decoder.pixels(path, shape, form.size !== null);
    const pixelsOf = (name: string) => headers.get(name)!.width * headers.get(name)!.height;
    for await (const { result } of results('decoded', [...headers.keys()], pixels, pixelsOf))
      writer.write(result, rows++ * rowBytes);
    if (!rows) throw noneDecoded(folder, problems);
    const about: DecodedImages = {
      skipped: folder.names.flatMap((name) => {
        const problem = problems.get(name);
        return problem === undefined ? [] : [{ name, problem }];
      }),
      grey: [...headers].filter(([name, header]) => header.isGrey && !problems.has(name)).length,
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
    `${path}: images of ${sizeText({ width, height })} make rows of ${counted(numbers)} numbers, more than ${counted(MOST_NUMBERS)}: scale them down, as with --image-size 64`,
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
    `${path}: images have different sizes: ${odd[0]} is ${sizeText(odd[1])}, ${counted(count)} of ${counted(all.length)} are ${usual} (width × height); scale all to one size, ${isTrained ? 'that of the images of the run' : 'as with --image-size 28 or --image-size 32x24'}`,
  );
}

const sizeText = ({ width, height }: Size) => `${width} × ${height}`;

function noneDecoded({ path, names }: ImageFolder, problems: Map<string, string>): UserError {
  const [[name, problem]] = problems;
  return new UserError(
    `${path}: none of the ${counted(names.length)} images can be read: ${oneLine(name)} (${problem}), …; name a folder of PNG or JPEG files`,
  );
}

/** What an image file says of itself; its size as it is shown: turned as its EXIF data say. */
type ImageHeader = Size & { isGrey: boolean };

/** Why a file cannot be used, for people, to follow its name. */
interface ImageProblem {
  problem: string;
}

/** Rows of images. */
type ImageShape = readonly [height: number, width: number] | readonly [number, number, 3];

/** Images with more are refused, as their header alone could claim gigabytes. The largest cameras have about as many. */
const MOST_PIXELS = 100_000_000;
/** The most bytes of a file. */
const MOST_BYTES = 1 << 28;
/** Of an image whose problem the library does not tell. */
const MOST_TRIES = 4;
/** What programs show behind transparent pixels, which are mostly those around dark drawings. */
const BACKGROUND = '#fff';

type Decoder = Awaited<ReturnType<typeof loadDecoder>>;

/**
 * Loads what reads PNG and JPEG files, an optional dependency. What is wrong with the content of a file is a result, the same each time;
 * methods reject with a UserError for what may be otherwise the next time, as where a disk fails or memory is short. UserError if it is
 * not installed.
 */
async function loadDecoder(path: string) {
  const { default: sharp } = await import('sharp').catch((error: Error) => {
    throw new UserError(
      `${path} is a folder of images, which the package sharp decodes, and that cannot be loaded (${firstLine(error)}): install it with npm install sharp`,
    );
  });
  // Not to fail for what other programs do not mind, such as bytes after the end.
  const options = { failOn: 'error', limitInputPixels: MOST_PIXELS, autoOrient: true } as const;
  return {
    /** Differs when it may decode a file to other pixels. */
    version: `sharp ${sharp.versions.sharp} vips ${sharp.versions.vips}`,
    header: (path: string) =>
      attempt(path, async (bytes): Promise<ImageHeader> => {
        const { space, autoOrient } = await sharp(bytes, options).metadata();
        const { width, height } = autoOrient;
        return { width, height, isGrey: space === 'b-w' || space === 'grey16' };
      }),
    /**
     * The pixels, 8 bits each, row after row; scaled to this shape if `isScaled`. 16 bits are reduced to 8, transparent pixels are
     * laid on white, and colours become sRGB, or grey in a shape without channels.
     */
    pixels: (path: string, [height, width, channels]: ImageShape, isScaled: boolean) =>
      attempt(path, async (bytes): Promise<Uint8Array | ImageProblem> => {
        const image = sharp(bytes, options).flatten({ background: BACKGROUND });
        // Neither bars that are in no image, nor a part of it only: its proportions are the least that clusters depend on.
        if (isScaled) image.resize(width, height, { fit: 'fill', kernel: 'lanczos3' });
        const { data, info } = await image
          .toColourspace(channels ? 'srgb' : 'b-w')
          .raw({ depth: 'uchar' })
          .toBuffer({ resolveWithObject: true });
        if (info.width !== width || info.height !== height || info.channels !== (channels ?? 1))
          return { problem: `it is ${info.width} × ${info.height} now` };
        return data;
      }),
  };
}

/** What `decode` makes of the content of a file, or why it cannot. Rejects where the content is not to blame. */
async function attempt<T>(
  path: string,
  decode: (bytes: Buffer) => Promise<T | ImageProblem>,
): Promise<T | ImageProblem> {
  let bytes: Buffer;
  try {
    bytes = readWhole(path, MOST_BYTES);
  } catch (error) {
    // A failed system call.
    if (!(error instanceof UserError) || error.cause) throw error;
    const { message } = error;
    return { problem: oneLine(message.startsWith(path) ? message.slice(path.length).trim() : message) };
  }
  // The library knows many formats more, some of which load other files.
  if (!isPng(bytes) && !isJpeg(bytes)) return { problem: 'neither PNG nor JPEG' };
  for (let tries = 1; ; tries++)
    try {
      return await decode(bytes);
    } catch (error) {
      // The library's threads share one place for messages: now and then one is cleared before it has been read.
      const isLost = (error as Error).message.startsWith('Unknown error');
      if (!isLost || tries === MOST_TRIES) return problemOf(path, error as Error);
    }
}

/** Why the library cannot decode a file. Throws a UserError if that is for want of memory or of disk: its errors have but messages. */
export function problemOf(path: string, error: Error): ImageProblem {
  const reason = firstLine(error);
  if (/out of memory|insufficient memory|allocate|bad_alloc|unix error|no space left/i.test(error.message))
    throw new UserError(`${path} cannot be decoded now: ${reason}`);
  return {
    problem: /pixel limit/.test(reason)
      ? `more than ${counted(MOST_PIXELS)} pixels`
      : reason.replace(/^\w+: /, ''),
  };
}

const isPng = (bytes: Buffer) => bytes.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n';
const isJpeg = (bytes: Buffer) => bytes.toString('latin1', 0, 3) === '\xff\xd8\xff';
const firstLine = ({ message }: Error) => oneLine(message.trim().split('\n')[0]);
