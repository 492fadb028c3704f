import { AT, RECORD, WORDS } from '../../model/map-records.ts';
import { dotOf } from '../drawing/points.ts';
import type { Rgb } from '../drawing/svg.ts';
import { DENSITY_CELLS, type MapRecords } from './map-records.ts';

/**
 * Points of a map in WebGL 2: records as they are in the file, over the density. (regl-scatterplot does not run here: regl, on which it is built, makes functions of
 * texts, which the page's content security policy forbids.)
 */

interface DrawnPoints {
  /** So many records are drawn, the first ones. */
  records: number;
  /** The lower left corner of the map and its side, in device pixels from the lower left of the screen. */
  map: { x: number; y: number; side: number };
  /** How dark the density is, 0 … 1. */
  density: number;
  /** Diameter of a point in device pixels, and how opaque it is. */
  size: number;
  opacity: number;
  /** By shades, else by cluster. */
  isShaded: boolean;
}

/** The colour of a cluster and how opaque it is, 0 … 1. */
interface ClusterPaint {
  colour: Rgb;
  opacity: number;
}

export interface PointPainter {
  /** Records are there from this one on. */
  arrived(from: number): void;
  /** Records have other shades. */
  shaded(): void;
  density(cells: Uint8Array): void;
  /** Of each cluster. */
  colours(of: readonly ClusterPaint[]): void;
  /** Of each of 256 shades. */
  scale(of: readonly Rgb[]): void;
  /** `dense`: the colour of the density. */
  draw(drawn: DrawnPoints, dense: Rgb): void;
}

const POINTS = `#version 300 es
in vec2 place;
in uint cluster;
in uint shade;
uniform vec2 middle, screen;
uniform float side, size;
uniform bool isShaded;
uniform highp sampler2D colours, scale;
flat out vec4 colour;
void main() {
  // From the middle of the screen, whose place is subtracted first: the map itself may be millions of pixels wide.
  gl_Position = vec4(2.0 * side * (place - middle) / screen, 0.0, 1.0);
  gl_PointSize = size;
  vec4 own = texelFetch(colours, ivec2(cluster & 255u, cluster >> 8u), 0);
  colour = isShaded ? vec4(texelFetch(scale, ivec2(shade, 0), 0).rgb, own.a) : own;
}`;

const POINT = `#version 300 es
precision highp float;
flat in vec4 colour;
uniform float size, opacity;
out vec4 pixel;
void main() {
  float cover = size < 2.5 ? 1.0 : clamp(0.5 * size + 0.5 - size * distance(gl_PointCoord, vec2(0.5)), 0.0, 1.0);
  float alpha = opacity * colour.a * cover;
  pixel = vec4(colour.rgb * alpha, alpha);
}`;

const WHOLE = `#version 300 es
uniform vec3 map;
uniform vec2 screen;
out vec2 place;
void main() {
  place = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = vec4(2.0 * (map.xy + map.z * place) / screen - 1.0, 0.0, 1.0);
}`;

const DENSITY = `#version 300 es
precision highp float;
in vec2 place;
uniform sampler2D dense;
uniform vec3 high;
uniform float opacity;
out vec4 pixel;
void main() {
  float alpha = opacity * texture(dense, place).r;
  pixel = vec4(high * alpha, alpha);
}`;

/** Draws records on this canvas; null where the browser has no WebGL 2, or no device for it. `restored`: it had lost all it had, and can draw again. */
export function glPoints(
  canvas: HTMLCanvasElement,
  records: MapRecords,
  restored: () => void,
): PointPainter | null {
  const gl = canvas.getContext('webgl2', {
    ...{ antialias: false, depth: false, premultipliedAlpha: true },
    // Software that acts as a device takes two to three times as long as `flatPoints`.
    failIfMajorPerformanceCaveat: true,
  });
  if (!gl) return null;
  let made = prepared(gl, records);
  const texels = (texture: WebGLTexture, of: readonly ClusterPaint[]) => {
    const height = Math.max(1, Math.ceil(of.length / 256));
    const texels = new Uint8Array(256 * height * 4);
    for (const [i, { colour, opacity }] of of.entries()) texels.set([...colour, 255 * opacity], 4 * i);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
  };
  canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
  canvas.addEventListener('webglcontextrestored', () => {
    made = prepared(gl, records);
    restored();
  });
  return {
    arrived(from) {
      gl.bindBuffer(gl.ARRAY_BUFFER, made.records);
      gl.bufferSubData(
        gl.ARRAY_BUFFER,
        RECORD * from,
        records.bytes,
        RECORD * from,
        RECORD * (records.count - from),
      );
    },
    shaded() {
      gl.bindBuffer(gl.ARRAY_BUFFER, made.shades);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, records.shades);
    },
    density(cells) {
      gl.bindTexture(gl.TEXTURE_2D, made.dense);
      const side = DENSITY_CELLS;
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, side, side, 0, gl.RED, gl.UNSIGNED_BYTE, cells);
    },
    colours: (of) => texels(made.palette, of),
    scale: (of) =>
      texels(
        made.scale,
        of.map((colour) => ({ colour, opacity: 1 })),
      ),
    draw({ records, map, density, size, opacity, isShaded }, dense) {
      const { points, below } = made;
      const [w, h] = [canvas.width, canvas.height];
      gl.viewport(0, 0, w, h);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      const one = ([r, g, b]: Rgb) => [r / 255, g / 255, b / 255] as const;
      if (density > 0) {
        gl.useProgram(below.program);
        gl.bindTexture(gl.TEXTURE_2D, made.dense);
        gl.uniform2f(below.at('screen'), w, h);
        gl.uniform3f(below.at('map'), map.x, map.y, map.side);
        gl.uniform3f(below.at('high'), ...one(dense));
        gl.uniform1f(below.at('opacity'), density);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
      }
      gl.useProgram(points.program);
      gl.bindVertexArray(made.attributes);
      gl.bindTexture(gl.TEXTURE_2D, made.palette);
      gl.uniform2f(points.at('screen'), w, h);
      gl.uniform2f(points.at('middle'), (w / 2 - map.x) / map.side, (h / 2 - map.y) / map.side);
      gl.uniform1f(points.at('side'), map.side);
      gl.uniform1f(points.at('size'), size);
      gl.uniform1f(points.at('opacity'), opacity);
      gl.uniform1i(points.at('isShaded'), Number(isShaded));
      gl.uniform1i(points.at('scale'), 1);
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, made.scale);
      gl.activeTexture(gl.TEXTURE0);
      gl.drawArrays(gl.POINTS, 0, records);
      gl.bindVertexArray(null);
    },
  };
}

/** Programs, textures and buffers, of a context that is new or restored. */
function prepared(gl: WebGL2RenderingContext, { bytes, shades }: MapRecords) {
  const shader = (kind: number, source: string) => {
    const one = gl.createShader(kind)!;
    gl.shaderSource(one, source);
    gl.compileShader(one);
    return one;
  };
  const linked = (vertex: string, fragment: string) => {
    const program = gl.createProgram()!;
    gl.attachShader(program, shader(gl.VERTEX_SHADER, vertex));
    gl.attachShader(program, shader(gl.FRAGMENT_SHADER, fragment));
    for (const [i, name] of ['place', 'cluster', 'shade'].entries()) gl.bindAttribLocation(program, i, name);
    gl.linkProgram(program);
    const places = new Map<string, WebGLUniformLocation | null>();
    return {
      program,
      at(name: string) {
        if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name));
        return places.get(name)!;
      },
    };
  };
  const texture = (filter: number) => {
    const one = gl.createTexture()!;
    gl.bindTexture(gl.TEXTURE_2D, one);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, name, filter);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return one;
  };
  const buffer = (size: number) => {
    const one = gl.createBuffer()!;
    gl.bindBuffer(gl.ARRAY_BUFFER, one);
    gl.bufferData(gl.ARRAY_BUFFER, size, gl.STATIC_DRAW);
    return one;
  };
  const attributes = gl.createVertexArray();
  gl.bindVertexArray(attributes);
  for (const i of [0, 1, 2]) gl.enableVertexAttribArray(i);
  const records = buffer(bytes.length);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, RECORD, AT.x);
  gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_SHORT, RECORD, AT.cluster);
  const ofShades = buffer(shades.length);
  gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_BYTE, 1, 0);
  gl.bindVertexArray(null);
  return {
    ...{ attributes, records, shades: ofShades },
    points: linked(POINTS, POINT),
    below: linked(WHOLE, DENSITY),
    palette: texture(gl.NEAREST),
    scale: texture(gl.NEAREST),
    dense: texture(gl.LINEAR),
  };
}

/** The same without a graphics device: pixel by pixel. */
export function flatPoints(canvas: HTMLCanvasElement, { bytes, places, shades }: MapRecords): PointPainter {
  const context = canvas.getContext('2d')!;
  const clusters = new Uint16Array(bytes.buffer);
  let paints: readonly ClusterPaint[] = [];
  let scale: readonly Rgb[] = [];
  let density: Uint8Array | null = null;
  let image: ImageData | null = null;

  return {
    arrived() {},
    shaded() {},
    density: (cells) => void (density = cells),
    colours: (of) => void (paints = of),
    scale: (of) => void (scale = of),
    draw(drawn, dense) {
      const { width, height } = canvas;
      if (image?.width !== width || image.height !== height) image = context.createImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer).fill(0);
      if (density && drawn.density > 0) shade(pixels, [width, height], density, drawn, dense);
      dab(image, drawn);
      context.putImageData(image, 0, 0);
    },
  };

  function dab({ data, width, height }: ImageData, { records, map, size, opacity, isShaded }: DrawnPoints) {
    const { x, y, side } = map;
    const { offsets, coverage, extent } = dotOf(size / 2, width);
    for (let i = 0; i < records; i++) {
      const px = Math.round(x + side * places[WORDS.record * i + WORDS.x]);
      const py = Math.round(height - y - side * places[WORDS.record * i + WORDS.y]);
      if (!(px >= extent && py >= extent && px < width - extent && py < height - extent)) continue;
      const paint = paints[clusters[(RECORD * i + AT.cluster) / 2]];
      if (!paint) continue;
      const colour = isShaded ? scale[shades[i]] : paint.colour;
      blend(data, 4 * (py * width + px), colour, opacity * paint.opacity, offsets, coverage);
    }
  }
}

/** Blends a dot into pixels, which may be transparent. */
function blend(
  pixels: Uint8ClampedArray,
  centre: number,
  [r, g, b]: Rgb,
  opacity: number,
  offsets: Int32Array,
  coverage: Float32Array,
): void {
  for (let p = 0; p < offsets.length; p++) {
    const at = centre + offsets[p];
    const alpha = opacity * coverage[p];
    const below = (pixels[at + 3] / 255) * (1 - alpha);
    const all = alpha + below;
    pixels[at] = (r * alpha + pixels[at] * below) / all;
    pixels[at + 1] = (g * alpha + pixels[at + 1] * below) / all;
    pixels[at + 2] = (b * alpha + pixels[at + 2] * below) / all;
    pixels[at + 3] = 255 * all;
  }
}

/** `pixels`: RGBA, a number each. */
function shade(
  pixels: Uint32Array,
  [width, height]: readonly [number, number],
  cells: Uint8Array,
  { map, density }: DrawnPoints,
  [r, g, b]: Rgb,
): void {
  const colour = (b << 16) | (g << 8) | r;
  const cell = DENSITY_CELLS / map.side;
  for (let py = 0; py < height; py++) {
    const row = Math.floor((height - py - map.y) * cell);
    if (row < 0 || row >= DENSITY_CELLS) continue;
    for (let px = 0; px < width; px++) {
      const column = Math.floor((px - map.x) * cell);
      if (column < 0 || column >= DENSITY_CELLS) continue;
      pixels[py * width + px] = (Math.round(density * cells[row * DENSITY_CELLS + column]) << 24) | colour;
    }
  }
}
