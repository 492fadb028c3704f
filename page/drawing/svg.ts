import { UserError } from '../../base/user-error.ts';
import { escaped } from './text.ts';

/** Building blocks of pictures, and the colours and markers of clusters. Colours are attributes, which a page's style sheet overrides by class: `ink`, `mute`, … */

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

/** Of lines that are of components of a cluster of several. */
export const DASHES = [4, 3] as const;

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

/**
 * Colours of clusters in the live page and the report, for light and dark backgrounds. The first ten maximize the smallest
 * pairwise distance in OKLab, over normal vision and the three kinds of colour blindness: 0.12, against 0.08 for the seven
 * colours of Okabe and Ito. Each further colour is the one with enough contrast that is furthest from all before it; the smallest
 * distance among all fifty is 0.03.
 */
export const COLOURS: readonly string[] = [
  '#4244b9 #f5af20 #30a5a8 #953400 #59d9a2 #d46b01 #c256f9 #623d66 #bf9bfc #8b6071',
  '#2a75ba #af5331 #96906d #89b8ba #8c34e9 #953490 #747f9f #c4ac6a #b786db #9c7479',
  '#d18e35 #803f40 #b449cc #8ea789 #3461ac #57c791 #66718f #ae6d56 #4f6c54 #3e7ce4',
  '#bf395b #e16fbf #7c298e #7e1cd8 #ac894c #854e73 #71998a #a04034 #d9a440 #d292e1',
  '#aba05c #bc662f #6635a3 #9c7bd2 #8d1e72 #6b4a59 #c987a6 #e10195 #b030aa #9b48fb',
].flatMap((ten) => ten.split(' '));

/** Of rows that are in no cluster. */
export const NOISE_COLOUR = '#969696';

/** Beyond fifty clusters colours repeat; numbers at the centres, and shapes, still tell clusters apart. */
export const colourOf = (cluster: number): string => COLOURS[cluster % COLOURS.length];

export type Rgb = readonly [red: number, green: number, blue: number];

export function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

export const hexOf = ([red, green, blue]: Rgb): string =>
  `#${((red << 16) | (green << 8) | blue).toString(16).padStart(6, '0')}`;

/** Linear interpolation in sRGB: a at `part` 0, b at 1. */
export const mix = (a: Rgb, b: Rgb, part: number): Rgb =>
  a.map((value, i) => Math.round(value + part * (b[i] - value))) as unknown as Rgb;

/** Markers of clusters in pictures of points have a colour and a shape. */

/** SVG paths of the shapes about the origin for radius r, to be appended to `M x y` of their centre: relative, and closed. */
const OUTLINES = {
  circle,
  triangle: (r: number) => polygon(r * 1.25, 3, -90),
  square: (r: number) => polygon(r * 1.2, 4, 45),
  diamond: (r: number) => polygon(r * 1.3, 4, 0),
  wedge: (r: number) => polygon(r * 1.25, 3, 90),
  cross: (r: number) => cross(r * 1.15),
};
export type Shape = keyof typeof OUTLINES;
export const markerPath = (shape: Shape, radius: number): string => OUTLINES[shape](radius);

const SHAPES = Object.keys(OUTLINES) as Shape[];
/** Consecutive clusters with the same shape: as many as there are colours that differ most. */
const CLUSTERS_PER_SHAPE = 10;

/** The first 300 clusters have different markers. */
export const markerStyle = (cluster: number) => ({
  colour: colourOf(cluster),
  shape: SHAPES[Math.floor(cluster / CLUSTERS_PER_SHAPE) % SHAPES.length],
});

const short = (value: number) => String(Math.round(value * 100) / 100);

function circle(r: number): string {
  return `m${short(-r)} 0a${short(r)} ${short(r)} 0 1 0 ${short(2 * r)} 0a${short(r)} ${short(r)} 0 1 0${short(-2 * r)} 0z`;
}

function polygon(r: number, corners: number, turn: number): string {
  const at = Array.from({ length: corners }, (_, i) => {
    const angle = ((turn + (360 * i) / corners) * Math.PI) / 180;
    return [r * Math.cos(angle), r * Math.sin(angle)];
  });
  const steps = at.map(([x, y], i) => {
    const [u, v] = at[i - 1] ?? [0, 0];
    return `${i ? 'l' : 'm'}${short(x - u)} ${short(y - v)}`;
  });
  return `${steps.join('')}z`;
}

function cross(r: number): string {
  const w = r * 0.36;
  const [a, b] = [short(r - w), short(2 * w)];
  return `m${short(-w)} ${short(-r)}h${b}v${a}h${a}v${b}h-${a}v${a}h-${b}v-${a}h-${a}v-${b}h${a}z`;
}

/** The marker of a cluster as a small picture, beside its number in tables and cards. `colour`: another one than its own. */
export function swatch(cluster: number, colour = colourOf(cluster)): string {
  const { shape } = markerStyle(cluster);
  return `<svg class="swatch" viewBox="-8 -8 16 16" width="14" height="14" aria-hidden="true"><path d="M0 0${markerPath(shape, 6)}" fill="${colour}"/></svg>`;
}
