import { createRequire } from 'node:module';
import { FONT } from '../drawing/svg.ts';

/** Pixels per unit of a picture: sharp on high-resolution screens and in print. */
const ZOOM = 2;
const { resolve } = createRequire(import.meta.url);
const FACES = ['400Regular/OpenSans_400Regular.ttf', '600SemiBold/OpenSans_600SemiBold.ttf'];
/** Characters beyond Latin, Greek and Cyrillic, which Open Sans may lack. */
const FOREIGN = /[\u0530-\u1dff\u2300-\ufffc\u{10000}-\u{10ffff}]/u;

/** Renders a picture as PNG, `zoom` pixels a unit, on another thread. The font is bundled, so the result is the same on every machine. */
export async function pngOf(svg: string, zoom = ZOOM): Promise<Uint8Array> {
  const { renderAsync } = await import('@resvg/resvg-js');
  const image = await renderAsync(svg, {
    fitTo: { mode: 'zoom', value: zoom },
    font: {
      fontFiles: FACES.map((face) => resolve(`@expo-google-fonts/open-sans/${face}`)),
      // Class names may be in any script.
      loadSystemFonts: FOREIGN.test(svg),
      defaultFontFamily: FONT,
      sansSerifFamily: FONT,
    },
  });
  return image.asPng();
}
