import { encode } from 'fast-png';

/** Rows that are images: their pixels, and their pictures. */

export interface ImageShape {
  height: number;
  width: number;
  channels: 1 | 3;
  /** The channels are one after the other, in place of those of each pixel. */
  planar: boolean;
}

/** The least side of an image, and the longest side that is drawn: of larger ones, every second, third … pixel. */
const LEAST_SIDE = 4;
const MOST_SIDE = 64;

/** The image that a row of this shape is: [height,width], with one or three channels last or first; null if it is none. */
export function imageShape(shape: readonly number[] | undefined): ImageShape | null {
  if (!shape) return null;
  const [first, second, third] = shape;
  const isChannels = (size: number) => size === 1 || size === 3;
  const image = (height: number, width: number, channels: number, planar: boolean) =>
    Math.min(height, width) < LEAST_SIDE
      ? null
      : { height, width, channels: channels as ImageShape['channels'], planar };
  if (shape.length === 2) return image(first, second, 1, false);
  if (shape.length !== 3) return null;
  if (isChannels(third)) return image(first, second, third, false);
  return isChannels(first) ? image(second, third, first, true) : null;
}

/** A PNG of a row as a data URI; `low` is black, `high` white. */
export function imageUri(
  values: ArrayLike<number>,
  { height, width, channels, planar }: ImageShape,
  [low, high]: readonly [number, number],
): string {
  const every = Math.ceil(Math.max(height, width) / MOST_SIDE);
  const [rows, cols] = [Math.ceil(height / every), Math.ceil(width / every)];
  const data = new Uint8Array(rows * cols * channels);
  const scale = high > low ? 255 / (high - low) : 0;
  for (let i = 0, p = 0; i < rows; i++)
    for (let j = 0; j < cols; j++)
      for (let c = 0; c < channels; c++) {
        const pixel = i * every * width + j * every;
        const value = values[planar ? c * height * width + pixel : pixel * channels + c];
        data[p++] = Math.min(255, Math.max(0, Math.round((value - low) * scale)));
      }
  const png = encode({ data, width: cols, height: rows, channels, depth: 8 });
  return `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
}
