/**
 * Ten colours that stay apart for every eye: of all tens that show on white and on black paper, searched for the
 * largest least distance in OKLab as seen with all cones and without one of the three. It is .12; of Okabe and Ito's
 * seven it is .08.
 */
export const COLOURS = [
  '#4244b9',
  '#f5af20',
  '#30a5a8',
  '#953400',
  '#59d9a2',
  '#d46b01',
  '#c256f9',
  '#623d66',
  '#bf9bfc',
  '#8b6071',
] as const;

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
export const SHAPES: Shape[] = ['circle', 'triangle', 'square', 'diamond', 'wedge', 'cross'];

export interface Look {
  colour: string;
  shape: Shape;
}

/** How a cluster looks in every picture: ten colours, then other shapes, then (after 60) other lightness. */
export function lookOf(cluster: number): Look {
  const shape = Math.floor(cluster / COLOURS.length) % SHAPES.length;
  const round = Math.floor(cluster / COLOURS.length / SHAPES.length);
  const colour = COLOURS[cluster % COLOURS.length];
  return {
    shape: SHAPES[shape],
    colour: round ? mix(colour, round % 2 ? '#000000' : '#ffffff', 0.35) : colour,
  };
}

/** The outline of a shape, to be put behind `M x y` of its middle. */
export function outline(shape: Shape, radius: number): string {
  return OUTLINES[SHAPES.indexOf(shape)](radius);
}

/** Between two colours. `share`: of the second. */
export function mix(a: string, b: string, share: number): string {
  const parts = [1, 3, 5].map((at) => {
    const [from, to] = [a, b].map((colour) => Number.parseInt(colour.slice(at, at + 2), 16));
    return Math.round(from + (to - from) * share)
      .toString(16)
      .padStart(2, '0');
  });
  return `#${parts.join('')}`;
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
