import { colourOf } from '../view/palette.ts';

/** How clusters look in pictures of points: a colour, which they have on the live page too, and a shape. */

/** Outlines about the origin, for a size of 1: each a relative path that comes back to where it began. */
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
/** Clusters in a row that share a shape: as many as have the colours furthest apart. */
const TOGETHER = 10;

export interface Look {
  colour: string;
  shape: Shape;
}

/** The first 300 clusters all look different. */
export const lookOf = (cluster: number): Look => ({
  colour: colourOf(cluster),
  shape: SHAPES[Math.floor(cluster / TOGETHER) % SHAPES.length],
});

/** The outline of a shape, to be put behind `M x y` of its middle. */
export function outline(shape: Shape, radius: number): string {
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
