import { readWhole } from '../../base/files.ts';
import { oneLine } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';

/** What an image file says of itself. */
export interface ImageHeader {
  /** In pixels, as it is shown: turned as its EXIF data say. */
  width: number;
  height: number;
  isGrey: boolean;
}

/** Why a file cannot be used, for people, to follow its name. */
export interface ImageProblem {
  problem: string;
}

/** Rows of images: [height,width], or [height,width,3]. */
export type ImageShape = readonly [height: number, width: number] | readonly [number, number, 3];

/**
 * Reads PNG and JPEG files. What is wrong with the content of a file is a result, the same each time; methods reject with a
 * UserError for what may be otherwise the next time, as where a disk fails or memory is short.
 */
export interface Decoder {
  /** Differs when it may decode a file to other pixels. */
  readonly version: string;
  header(path: string): Promise<ImageHeader | ImageProblem>;
  /**
   * The pixels, 8 bits each, row after row; scaled to this shape if `isScaled`. 16 bits are reduced to 8, transparent pixels are
   * laid on white, and colours become sRGB, or grey in a shape without channels.
   */
  pixels(path: string, shape: ImageShape, isScaled: boolean): Promise<Uint8Array | ImageProblem>;
}

/** Of a larger image, the header alone would claim gigabytes. The largest cameras have about as many. */
const MOST_PIXELS = 100_000_000;
/** Of a file, as it is. */
const MOST_BYTES = 1 << 28;
/** Of an image whose problem the library does not tell. */
const MOST_TRIES = 4;
/** What programs show behind transparent pixels, which are mostly those around dark drawings. */
const BACKGROUND = '#fff';

/** Loads the decoder, an optional dependency. UserError if it is not installed. */
export async function loadDecoder(path: string): Promise<Decoder> {
  const { default: sharp } = await import('sharp').catch((error: Error) => {
    throw new UserError(
      `${path} is a folder of images, which the package sharp decodes, and that cannot be loaded (${firstLine(error)}): install it with npm install sharp`,
    );
  });
  // Not to fail for what other programs do not mind, such as bytes after the end.
  const options = { failOn: 'error', limitInputPixels: MOST_PIXELS, autoOrient: true } as const;
  return {
    version: `sharp ${sharp.versions.sharp} vips ${sharp.versions.vips}`,
    header: (path) =>
      attempt(path, async (bytes) => {
        const { space, autoOrient } = await sharp(bytes, options).metadata();
        const { width, height } = autoOrient;
        return { width, height, isGrey: space === 'b-w' || space === 'grey16' };
      }),
    pixels: (path, [height, width, channels], isScaled) =>
      attempt(path, async (bytes) => {
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
      ? `more than ${MOST_PIXELS.toLocaleString('en')} pixels`
      : reason.replace(/^\w+: /, ''),
  };
}

const isPng = (bytes: Buffer) => bytes.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n';
const isJpeg = (bytes: Buffer) => bytes.toString('latin1', 0, 3) === '\xff\xd8\xff';
const firstLine = ({ message }: Error) => oneLine(message.trim().split('\n')[0]);
