/** Colours of clusters: apart from each other, also for people who do not tell red from green. */

export type Rgb = readonly [number, number, number];
type Vec = readonly [number, number, number];

/** Colours of their own; with more clusters they repeat, and the numbers at the centres tell. */
export const COLOURS = 50;

/** Where both palettes start: Okabe and Ito's, lighter ones in the dark. The rest is as far from all before as can be. */
const FIRST = {
  light: ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'],
  dark: ['#3f8fd0', '#f5b942', '#1fb892', '#f09ac4', '#9ad8f8', '#e0662a'],
};
const LIGHTNESS = { light: [0.4, 0.5, 0.6, 0.7, 0.78], dark: [0.58, 0.66, 0.74, 0.82, 0.9] };
const CHROMA = [0.05, 0.09, 0.13, 0.17, 0.21];
const HUES = 30;

/** Full protanopia and deuteranopia on linear RGB (Machado, Oliveira & Fernandes 2009, severity 1). */
const DEFICIENCIES: readonly (readonly Vec[])[] = [
  [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
];

/** The palette of a theme, chosen greedily: each next colour maximises its least distance to those before. */
export function palette(theme: 'light' | 'dark', count = COLOURS): Rgb[] {
  const chosen = FIRST[theme].slice(0, count).map(fromHex);
  const candidates: Rgb[] = [];
  for (const l of LIGHTNESS[theme])
    for (const c of CHROMA)
      for (let h = 0; h < HUES; h++) {
        const angle = (2 * Math.PI * h) / HUES;
        const linear = toLinear([l, c * Math.cos(angle), c * Math.sin(angle)]);
        if (linear.every((v) => v >= 0 && v <= 1)) candidates.push(linear.map(encode) as unknown as Rgb);
      }
  const looks = candidates.map(appearances);
  const nearest = looks.map((look) => Math.min(...chosen.map((rgb) => apart(look, appearances(rgb)))));
  while (chosen.length < count) {
    const best = nearest.indexOf(Math.max(...nearest));
    chosen.push(candidates[best]);
    looks.forEach((look, i) => {
      nearest[i] = Math.min(nearest[i], apart(look, looks[best]));
    });
  }
  return chosen;
}

/** The least distance of two colours in OKLab over normal and both deficient visions. */
export const difference = (a: Rgb, b: Rgb) => apart(appearances(a), appearances(b));

/** WCAG's contrast of two colours, 1 … 21. */
export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [a, b].map((rgb) => {
    const [r, g, bl] = rgb.map(decode);
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl + 0.05;
  });
  return Math.max(x, y) / Math.min(x, y);
}

export const css = ([r, g, b]: Rgb) => `rgb(${r} ${g} ${b})`;

/** `part` of b in a. */
export const mix = (a: Rgb, b: Rgb, part: number) =>
  a.map((v, i) => Math.round(v + part * (b[i] - v))) as unknown as Rgb;

export function fromHex(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function appearances(rgb: Rgb): Vec[] {
  const linear = rgb.map(decode) as unknown as Vec;
  return [
    linear,
    ...DEFICIENCIES.map(
      (m) => m.map((row) => row.reduce((s, v, i) => s + v * linear[i], 0)) as unknown as Vec,
    ),
  ].map(toOklab);
}

const apart = (a: Vec[], b: Vec[]) =>
  Math.min(...a.map((v, i) => Math.hypot(v[0] - b[i][0], v[1] - b[i][1], v[2] - b[i][2])));

const decode = (v: number) => (v <= 10.31475 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
const encode = (v: number) => Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));

function toOklab([r, g, b]: Vec): Vec {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function toLinear([light, a, b]: Vec): Vec {
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}
