import { colourOf } from '../view/palette.ts';

/** Markers of clusters in pictures of points: the colour of the live page, and a shape. */

/** SVG paths of the shapes about the origin for radius r: relative, and closed. */
const OUTLINES = [
  (r: number) => circle(r),
  (r: number) => polygon(r * 1.25, 3, -90),
  (r: number) => polygon(r * 1.2, 4, 45),
  (r: number) => polygon(r * 1.3, 4, 0),
  (r: number) => polygon(r * 1.25, 3, 90),
  (r: number) => cross(r * 1.15),
] as const;

export type Shape = 'circle' | 'triangle' | 'square' | 'diamond' | 'wedge' | 'cross';
const SHAPES: Shape[] = ['circle', 'triangle', 'square', 'diamond', 'wedge', 'cross'];
/** Consecutive clusters with the same shape: as many as there are colours that differ most (view/palette.ts). */
const CLUSTERS_PER_SHAPE = 10;

export interface MarkerStyle {
  colour: string;
  shape: Shape;
}

/** The first 300 clusters have different markers. */
export const markerStyle = (cluster: number): MarkerStyle => ({
  colour: colourOf(cluster),
  shape: SHAPES[Math.floor(cluster / CLUSTERS_PER_SHAPE) % SHAPES.length],
});

/** The path of a shape, to be appended to `M x y` of its centre. */
export function markerPath(shape: Shape, radius: number): string {
  return OUTLINES[SHAPES.indexOf(shape)](radius);
}

const short = (value: number) => String(Math.round(value * 100) / 100);

function circle(r: number): string {
  return `m${short(-r)} 0a${short(r)} ${short(r)} 0 1 0 ${short(2 * r)} 0a${short(r)} ${short(r)} 0 1 0${short(-2 * r)} 0z`;
}

function polygon(r: number, corners: number, turn: number): string {
  const at = Array.from({ length: corners }, (_, i) => {
    const angle = ((turn + (360 * i) / corners) * Math.PI) / 180;
    return [r * Math.cos(angle), r * Math.sin(angle)];
  });
  return `${at.map(([x, y], i) => (i ? `l${short(x - at[i - 1][0])} ${short(y - at[i - 1][1])}` : `m${short(x)} ${short(y)}`)).join('')}z`;
}

function cross(r: number): string {
  const w = r * 0.36;
  const [a, b] = [short(r - w), short(2 * w)];
  return `m${short(-w)} ${short(-r)}h${b}v${a}h${a}v${b}h-${a}v${a}h-${b}v-${a}h-${a}v-${b}h${a}z`;
}
