/** SVG building blocks. Colours are attributes, which a page's style sheet can override by class: `ink`, `mute`, … */

import { UserError } from '../base/user-error.ts';

const INK = '#1b1e23';
const MUTE = '#59606b';
const GRID = '#e4e6ea';
const PAPER = '#ffffff';
export const FONT = 'Open Sans';
/** Width of every picture in user units: at 600 px the smallest text is 11 px. */
export const WIDTH = 600;

/** A number with at most one decimal. UserError for NaN and ∞, which are invalid in SVG. */
export function num(value: number): string {
  if (!Number.isFinite(value))
    throw new UserError(
      `the pictures would have a coordinate of ${value}: the values of this run are too large, or damaged`,
    );
  return String(Math.round(value * 10) / 10 + 0);
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Escapes text for XML and HTML. Characters that XML forbids become replacement characters. */
export function escaped(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, '\ufffd')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"]/g, (letter) => ENTITIES[letter])
  );
}

export interface PictureAttributes {
  /** Prefix of the ids in the picture. */
  id: string;
  height: number;
  title: string;
  description: string;
  /** It has parts that can be focused, which an image cannot have. */
  hasParts?: boolean;
}

/** A complete SVG document. */
export function picture(
  { id, height, title, description, hasParts = false }: PictureAttributes,
  ...body: string[]
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${num(height)}" width="${WIDTH}" height="${num(height)}" role="${hasParts ? 'group' : 'img'}" aria-labelledby="${id}-t ${id}-d" font-family="'${FONT}', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif" font-size="12">`,
    `<title id="${id}-t">${escaped(title)}</title><desc id="${id}-d">${escaped(description)}</desc>`,
    `<rect class="paper" width="${WIDTH}" height="${num(height)}" fill="${PAPER}"/>`,
    ...body,
    '</svg>\n',
  ].join('\n');
}

export interface TextStyle {
  size?: number;
  anchor?: 'start' | 'middle' | 'end';
  bold?: boolean;
  tone?: 'ink' | 'mute';
  /** Degrees. */
  rotate?: number;
  /** An outline in the background colour, so that the text is readable over anything. */
  halo?: boolean;
  fill?: string;
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, anchor = 'start', bold, tone = 'ink', rotate, halo, fill } = style;
  const colour = fill ? `fill="${fill}"` : `class="${tone}" fill="${tone === 'ink' ? INK : MUTE}"`;
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

/** Handle length of the Bézier approximation of a quarter circle: 4/3·(√2 − 1). */
const HANDLE = 0.5522847498;

/**
 * The ellipse of all points at `radius` standard deviations, as a closed path of four Bézier curves; `place` maps
 * to SVG coordinates and must be affine.
 */
export function ellipsePath(
  [cx, cy]: readonly number[],
  [xx, xy, yy]: readonly number[],
  radius: number,
  place: (x: number, y: number) => string,
): string {
  // The Cholesky factor maps the unit circle to the ellipse.
  const a = Math.sqrt(Math.max(0, xx));
  const b = a > 0 ? xy / a : 0;
  const c = Math.sqrt(Math.max(0, yy - b * b));
  const at = (u: number, v: number) => place(cx + radius * a * u, cy + radius * (b * u + c * v));
  const h = HANDLE;
  return `M${at(1, 0)}C${at(1, h)} ${at(h, 1)} ${at(0, 1)}C${at(-h, 1)} ${at(-1, h)} ${at(-1, 0)}C${at(-1, -h)} ${at(-h, -1)} ${at(0, -1)}C${at(h, -1)} ${at(1, -h)} ${at(1, 0)}Z`;
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

/** Truncates to at most `length` characters. */
export function shorten(text: string, length: number): string {
  const characters = [...text];
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text;
}

/** Approximate width of a text in Open Sans, in user units. */
export const textWidth = (content: string, size = 12) => [...content].length * size * 0.57;

/** Four significant digits, with a proper minus sign. */
export function significant(value: number): string {
  const short = Number(value.toPrecision(4));
  const size = Math.abs(short);
  return (size >= 1e7 || (size > 0 && size < 1e-4) ? short.toExponential() : String(short)).replace('-', '−');
}
