/** Building blocks of pictures. Colours are attributes, which a page's style sheet overrides by class: `ink`, `mute`, … */

import { UserError } from '../../base/user-error.ts';
import { escaped } from './text.ts';

const INK = '#1b1e23';
const MUTE = '#59606b';
const GRID = '#e4e6ea';
const PAPER = '#ffffff';
/** What stands for these on a dark page: as in base.css. Texts have no quotes that are not escaped. */
const DARK = { [INK]: '#e8eaed', [MUTE]: '#a4abb6', [GRID]: '#262b32', [PAPER]: '#181b20' };
export const FONT = 'Open Sans';
/** Width of a picture in a file, in user units: at 600 px the smallest text is 11 px. */
export const WIDTH = 600;

/** A number with at most one decimal. UserError for NaN and ∞, which are invalid in SVG. */
export function num(value: number): string {
  if (!Number.isFinite(value))
    throw new UserError(
      `the pictures would have a coordinate of ${value}: the values of this run are too large, or damaged`,
    );
  return String(Math.round(value * 10) / 10 + 0);
}

/** The same picture for a dark background. */
export const inDark = (svg: string): string =>
  Object.entries(DARK).reduce((drawn, [light, dark]) => drawn.replaceAll(`="${light}"`, `="${dark}"`), svg);

interface PictureAttributes {
  /** Prefix of the ids in the picture. */
  id: string;
  height: number;
  title: string;
  description: string;
  /** In place of that of files: a panel of the page. */
  width?: number;
}

/** A complete SVG document. */
export function picture(attributes: PictureAttributes, ...body: string[]): string {
  const { id, width = WIDTH, height, title, description } = attributes;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${num(width)} ${num(height)}" width="${num(width)}" height="${num(height)}" role="img" aria-labelledby="${id}-t ${id}-d" font-family="'${FONT}', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif" font-size="12">`,
    `<title id="${id}-t">${escaped(title)}</title><desc id="${id}-d">${escaped(description)}</desc>`,
    `<rect class="paper" width="${num(width)}" height="${num(height)}" fill="${PAPER}"/>`,
    ...body,
    '</svg>\n',
  ].join('\n');
}

interface TextStyle {
  size?: number;
  anchor?: 'start' | 'middle' | 'end';
  bold?: boolean;
  tone?: 'ink' | 'mute';
  /** Degrees. */
  rotate?: number;
  /** An outline in the background colour, so that the text is readable over anything. */
  halo?: boolean;
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, anchor = 'start', bold, tone = 'ink', rotate, halo } = style;
  const colour = `class="${tone}" fill="${tone === 'ink' ? INK : MUTE}"`;
  const turned = rotate ? ` transform="rotate(${num(rotate)} ${num(x)} ${num(y)})"` : '';
  const position = `x="${num(x)}" y="${num(y)}"${turned}${size === 12 ? '' : ` font-size="${num(size)}"`}${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}${bold ? ' font-weight="600"' : ''}`;
  const front = `<text ${position} ${colour}>${escaped(content)}</text>`;
  if (!halo) return front;
  // Two elements, as not every viewer supports paint-order.
  return `<text ${position} class="halo" fill="none" stroke="${PAPER}" stroke-width="3.4" stroke-linejoin="round" aria-hidden="true">${escaped(content)}</text>${front}`;
}

export function line(x1: number, y1: number, x2: number, y2: number, tone: 'grid' | 'axis' = 'grid'): string {
  const stroke = tone === 'grid' ? GRID : MUTE;
  return `<path class="${tone}" d="M${num(x1)} ${num(y1)}L${num(x2)} ${num(y2)}" stroke="${stroke}" fill="none"/>`;
}

/** A curve, by default in the text colour. */
export function curve(d: string, stroke?: string, width = 2): string {
  const colour = stroke ? `stroke="${stroke}"` : `class="inkline" stroke="${INK}"`;
  return `<path d="${d}" fill="none" ${colour} stroke-width="${num(width)}" stroke-linejoin="round" stroke-linecap="round"/>`;
}

/** A mark in the text colour, outlined in the background colour. */
export function mark(d: string): string {
  return `<path class="mark" d="${d}" fill="${INK}" stroke="${PAPER}" stroke-width="1.2"/>`;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Clips `body` to a box. */
export function clipped(id: string, { left, top, right, bottom }: Box, body: string): string {
  return `<clipPath id="${id}"><rect x="${num(left)}" y="${num(top)}" width="${num(right - left)}" height="${num(bottom - top)}"/></clipPath><g clip-path="url(#${id})">${body}</g>`;
}

/** Approximate width of a text in Open Sans, in user units. */
export const textWidth = (content: string, size = 12) => [...content].length * size * 0.57;
