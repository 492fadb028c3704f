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
