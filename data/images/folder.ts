import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { encode } from 'fast-png';
import { attempted } from '../../base/files.ts';
import { MOST_LIST_BYTES } from '../../base/limits.ts';
import { UserError } from '../../base/user-error.ts';

/** The images in a folder and below it. Row i of the data is image i. */
export interface ImageFolder {
  path: string;
  /** Their paths below the folder, with `/`, in the order of their UTF-16 code units: the same on every machine. */
  names: string[];
  /** Differs when the images may: by their names, and as `fileVersion` does by each of the files. */
  version: string;
}

const IMAGE = /\.(png|jpe?g)$/i;

/**
 * Finds the images in a folder, by their endings. What is hidden, its name beginning with a dot, is left out. A link to a folder
 * is followed unless that folder is read already, so that none leads in circles. UserError if there are no images, or a folder
 * cannot be read.
 */
export function readImageFolder(path: string): ImageFolder {
  const names = imagesBelow(path).sort();
  if (names.reduce((sum, name) => sum + Buffer.byteLength(name) + 1, 0) > MOST_LIST_BYTES)
    throw new UserError(`${path} has too many images: their paths have more than ${MOST_LIST_BYTES} bytes`);
  if (!names.length)
    throw new UserError(
      `${path} is a folder without images (.png, .jpg or .jpeg, also in folders below): name one with images, or a file`,
    );
  const hash = createHash('sha256').update(resolve(path));
  for (const name of names) hash.update(JSON.stringify([name, versionOf(join(path, name))]));
  return { path, names, version: hash.digest('hex') };
}

/** Are there images in a folder, or below it? */
export const hasImages = (path: string): boolean => imagesBelow(path).length > 0;

function imagesBelow(path: string): string[] {
  const images: string[] = [];
  const entered = new Set<string>();
  const folders = [''];
  const links: string[] = [];
  while (folders.length || links.length) {
    // Links last: of an image that has two paths, the one without links is its name.
    const below = folders.pop() ?? links.shift()!;
    const folder = join(path, below);
    const { dev, ino } = attempted(folder, 'read', () => statSync(folder, { bigint: true }));
    const id = `${dev} ${ino}`;
    if (entered.has(id)) continue;
    entered.add(id);
    const entries = attempted(folder, 'read', () => readdirSync(folder, { withFileTypes: true }));
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const name = below ? `${below}/${entry.name}` : entry.name;
      if (entry.isDirectory()) folders.push(name);
      else if (entry.isSymbolicLink() && isFolder(join(path, name))) links.push(name);
      else if (IMAGE.test(name)) images.push(name);
    }
  }
  return images;
}

/** False for a link that leads nowhere, or in circles. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Why a file cannot be read is said when it is decoded. */
function versionOf(path: string): string[] | null {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].map(String);
  } catch {
    return null;
  }
}

/**
 * The labels of the images with these paths below a folder: the names of its sub-folders that they lie in. UserError for an
 * image that lies in none.
 */
export function folderLabels(path: string, names: readonly string[]): string[] {
  return names.map((name) => {
    const end = name.indexOf('/');
    if (end < 0)
      throw new UserError(
        `${path}: ${name} has no label, which is the name of its sub-folder: move it into one, or leave --labels out`,
      );
    return name.slice(0, end);
  });
}

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
