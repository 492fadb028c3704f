/**
 * Colours of clusters, for the live page and the report, on white and on dark paper. The first ten are, of all tens that
 * show on white and on black, those with the largest least distance in OKLab as seen with all cones and without one of
 * the three: .12; of Okabe and Ito's seven it is .08. Each of the others is the one furthest from all before it
 * (test/view/palette.test.ts finds them again); of all fifty the least distance is .03.
 */
export const COLOURS: readonly string[] = [
  '#4244b9 #f5af20 #30a5a8 #953400 #59d9a2 #d46b01 #c256f9 #623d66 #bf9bfc #8b6071',
  '#2a75ba #af5331 #96906d #89b8ba #8c34e9 #953490 #747f9f #c4ac6a #b786db #9c7479',
  '#d18e35 #803f40 #b449cc #8ea789 #3461ac #57c791 #66718f #ae6d56 #4f6c54 #3e7ce4',
  '#bf395b #e16fbf #7c298e #7e1cd8 #ac894c #854e73 #71998a #a04034 #d9a440 #d292e1',
  '#aba05c #bc662f #6635a3 #9c7bd2 #8d1e72 #6b4a59 #c987a6 #e10195 #b030aa #9b48fb',
].flatMap((ten) => ten.split(' '));

/** With more clusters colours repeat: the numbers at the centres tell, and in the report the shapes. */
export const colourOf = (cluster: number): string => COLOURS[cluster % COLOURS.length];

export type Rgb = readonly [red: number, green: number, blue: number];

export function rgbOf(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

export const hexOf = ([red, green, blue]: Rgb): string =>
  `#${((red << 16) | (green << 8) | blue).toString(16).padStart(6, '0')}`;

/** `part` of b in a. */
export const mix = (a: Rgb, b: Rgb, part: number): Rgb =>
  a.map((value, i) => Math.round(value + part * (b[i] - value))) as unknown as Rgb;
