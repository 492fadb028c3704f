import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { openCached } from '../cache.ts';
import { assertVersion } from '../file-version.ts';
import { type ArrayFile, closeArray, openNpy, readAppendix } from '../npy.ts';
import { type DecodedImages, decodeFolder, type ImageForm } from './decode-folder.ts';
import { loadDecoder } from './decoder.ts';
import { type ImageFolder, readImageFolder } from './folder.ts';

/** How a folder of images is read. */
export interface ImageOptions extends Pick<ImageForm, 'channels'> {
  /** Width × height in pixels to which every image is scaled, such as `28x20`; null: all have the same. */
  size: string | null;
  /** Images that cannot be decoded are left out; else they are an error. */
  skipBad: boolean;
  /** What is known of the images of a run: another folder is refused before it is decoded. */
  expected?: ExpectedImages;
  /** What users have to know about the images. */
  warn?: (message: string) => void;
  /** Says how far decoding is. */
  log?: (line: string) => void;
  /** The same, many times a second. */
  status?: (text: string) => void;
  /** Ends it. */
  signal?: AbortSignal;
}

export interface ExpectedImages {
  rows: number;
  /** Their paths below the folder, by row; undefined until the run is finished. */
  names?: readonly string[];
}

/** Images as rows of bytes. */
export interface OpenedImages {
  file: ArrayFile;
  /** The decoded copy in the cache. */
  copy: string;
  /** The paths of the images in the folder, by row. */
  names: string[];
  /** Throws a UserError if the folder has other images by now. */
  assertSame(): void;
}

/** Bad images that a message names. */
const MOST_NAMED = 3;

/**
 * Opens a folder of PNG and JPEG images, which are decoded once into an .npy in the cache. Rejects with a UserError if some
 * cannot be decoded, unless they may be skipped; if they have different sizes and are not scaled; if there are none; or if they
 * cannot be those that are expected.
 */
export async function openImages(path: string, options: ImageOptions): Promise<OpenedImages> {
  const { size, channels, skipBad, expected, warn = () => {}, log = () => {}, status, signal } = options;
  const folder = readImageFolder(path);
  if (expected) assertExpected(folder, expected, skipBad);
  const versionOf = () => readImageFolder(path).version;
  const decoder = await loadDecoder(path);
  const [width, height] = size?.split('x').map(Number) ?? [];
  const form = { size: size === null ? null : { width, height }, channels };
  const { copy, ...file } = await openCached(
    path,
    `images ${decoder.version} ${JSON.stringify(form)}`,
    (target) => {
      log(`decoding ${folder.names.length.toLocaleString('en')} images of ${path} …`);
      return decodeFolder(folder, target, { decoder, form, log, status, signal });
    },
    (target) => openNpy(target, path),
    { version: folder.version, versionOf },
  );
  try {
    const about = readAbout(file);
    const skipped = new Map(about.skipped.map(({ name, problem }) => [name, problem]));
    if (skipped.size && !skipBad)
      throw new UserError(
        `${path}: ${badImages(about, folder.names.length)}: repair or remove them${skipped.size < folder.names.length ? ', or leave them out with --skip-bad' : ''}`,
      );
    if (skipped.size) warn(`${path}: ${badImages(about, folder.names.length)}: left out`);
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
function assertExpected({ path, names }: ImageFolder, expected: ExpectedImages, skipBad: boolean): void {
  const { rows } = expected;
  if (names.length < rows || names.length > (skipBad ? 2 : 1) * rows)
    throw new UserError(`${path} now has ${names.length} images; the run had ${rows}`);
  const found = new Set(names);
  if (expected.names && !(expected.names.length === rows && expected.names.every((name) => found.has(name))))
    throw new UserError(`${path} has other images than the run had`);
}

/** What `decodeFolder` has written after the array. */
const readAbout = (file: ArrayFile): DecodedImages => JSON.parse(readAppendix(file).toString());

function badImages({ skipped }: DecodedImages, count: number): string {
  const named = skipped.slice(0, MOST_NAMED).map(({ name, problem }) => `${oneLine(name)} (${problem})`);
  const rest = skipped.length > MOST_NAMED ? ', …' : '';
  const of = `${skipped.length.toLocaleString('en')} of ${count.toLocaleString('en')}`;
  return `${of} images cannot be decoded: ${named.join(', ')}${rest}`;
}

/** Null if all images are as the rows. */
function noteOnColours({ grey, count }: DecodedImages, isGrey: boolean): string | null {
  const coloured = count - grey;
  if (isGrey) return coloured ? `${coloured} of ${count} images have colours and were made grey` : null;
  return grey
    ? `${grey} of ${count} images are grey: they have three equal channels, as others have colours`
    : null;
}
