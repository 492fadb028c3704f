import { createRequire } from 'node:module';
import { FONT } from './svg.ts';

/** Pixels for each unit of a picture: sharp on dense screens and in print. */
const ZOOM = 2;
const { resolve } = createRequire(import.meta.url);
const FACES = ['400Regular/OpenSans_400Regular.ttf', '600SemiBold/OpenSans_600SemiBold.ttf'];
/** Letters beyond those of Latin, Greek and Cyrillic, which Open Sans may lack. */
const FOREIGN = /[\u0530-\u1dff\u2300-\ufffc\u{10000}-\u{10ffff}]/u;

/** A picture as PNG, drawn on another thread. The letters come with dpmesh, so it looks the same on every machine. */
export async function pngOf(svg: string): Promise<Uint8Array> {
  const { renderAsync } = await import('@resvg/resvg-js');
  const image = await renderAsync(svg, {
    fitTo: { mode: 'zoom', value: ZOOM },
    font: {
      fontFiles: FACES.map((face) => resolve(`@expo-google-fonts/open-sans/${face}`)),
      // Names of classes may be in any script.
      loadSystemFonts: FOREIGN.test(svg),
      defaultFontFamily: FONT,
      sansSerifFamily: FONT,
    },
  });
  return image.asPng();
}
