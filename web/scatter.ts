import { colourOf, hexOf, mix, type Rgb, rgbOf } from '../view/palette.ts';
import type { Picture } from './analyse.ts';
import {
  type Ellipse,
  ellipseOf,
  type Frame,
  frameOf,
  place,
  placeBadges,
  placeCovariance,
  type Rotation,
  screenX,
  screenY,
  turn,
  UNTURNED,
} from './camera.ts';
import { byId, fit, placeTip, say } from './dom.ts';
import { count, percent } from './format.ts';
import type { Highlight } from './highlight.ts';
import { dotOf, drawPoints } from './points.ts';
import { ink, inkRgb } from './theme.ts';

const SDS = 2;
const BADGE = 9;
/** Radians: a pixel of dragging, a press of a key. */
const PER_PIXEL = 0.008;
const PER_KEY = 0.12;

export interface Scatter {
  show(picture: Picture): void;
  draw(): void;
}

/** The points of the sample with the clusters' ellipses and centres; `later` asks for a frame. */
export function scatter(light: Highlight, later: () => void): Scatter {
  const box = byId('scatter-box');
  const canvas = byId<HTMLCanvasElement>('scatter');
  const tip = byId('scatter-tip');
  const reset = byId<HTMLButtonElement>('reset');
  const context = canvas.getContext('2d', { alpha: false })!;
  let picture: Picture | null = null;
  let rotation: Rotation = UNTURNED;
  let image: ImageData | null = null;
  let xs = new Float32Array(0);
  let ys = new Float32Array(0);
  let centres: Ellipse[] = [];
  let ratio = 1;
  let frames = 0;
  let drag: { x: number; y: number; moved: boolean } | null = null;

  const turns = () => (picture?.dim ?? 0) >= 3;
  const turnBy = (right: number, down: number) => {
    if (!turns()) return;
    rotation = turn(rotation, right, down);
    reset.hidden = false;
    tip.hidden = true;
    later();
  };

  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, moved: false };
  };
  canvas.onpointermove = (event) => {
    if (!drag) return hoverAt(event);
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    turnBy(dx * PER_PIXEL, dy * PER_PIXEL);
  };
  canvas.onpointerup = (event) => {
    const clicked = drag && !drag.moved;
    drag = null;
    if (!clicked || !picture) return;
    const found = clusterAt(event);
    if (found !== null) light.pin(picture.clusters[found].slot);
    else if (light.pinned !== null) light.pin(light.pinned);
  };
  canvas.onpointercancel = () => {
    drag = null;
  };
  canvas.onpointerleave = () => {
    tip.hidden = true;
    light.hover(null);
  };
  canvas.onkeydown = (event) => {
    const [right, down] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (right !== undefined && turns()) {
      event.preventDefault();
      turnBy(right * PER_KEY, down! * PER_KEY);
    } else if (event.key === 'Home') reset.click();
  };
  reset.onclick = () => {
    rotation = UNTURNED;
    // Focus must not vanish with the button.
    if (document.activeElement === reset) canvas.focus();
    reset.hidden = true;
    later();
  };
  light.onChange(later);

  function clusterAt({ offsetX: x, offsetY: y }: PointerEvent): number | null {
    if (!picture) return null;
    for (const [c, centre] of centres.entries())
      if (Math.hypot(centre.x - x, centre.y - y) <= BADGE + 1) return c;
    let [best, nearest] = [-1, (10 * ratio) ** 2];
    for (let i = 0; i < xs.length; i++) {
      const apart = (xs[i] - x * ratio) ** 2 + (ys[i] - y * ratio) ** 2;
      if (apart < nearest) [best, nearest] = [i, apart];
    }
    return best < 0 || picture.labels[best] >= picture.k ? null : picture.labels[best];
  }

  function hoverAt(event: PointerEvent) {
    const found = clusterAt(event);
    if (!picture || found === null) {
      tip.hidden = true;
      return light.hover(null);
    }
    const { slot, rows, weight } = picture.clusters[found];
    light.hover(slot);
    say(tip, `Cluster ${found} · ${count(rows)} rows · ${percent(weight)}`);
    placeTip(tip, event.offsetX, event.offsetY, box.clientWidth, box.clientHeight);
  }

  function draw() {
    if (!picture) return;
    const begun = performance.now();
    const [width, height] = [box.clientWidth, box.clientHeight];
    ratio = fit(canvas, width, height);
    const colours = picture.clusters.map(({ colour }) => rgbOf(colourOf(colour)));
    const lit = picture.clusters.findIndex(({ slot }) => slot === light.now);
    const ellipses = picture.clusters.map((_, c) => {
      const [x, y] = place(picture!.centres, c, rotation);
      return ellipseOf(x, y, placeCovariance(picture!.covariances, c, rotation), SDS);
    });
    const frame = frameOf(
      ellipses.filter((_, c) => picture!.clusters[c].weight > 1e-4 || picture!.k < 3),
      1.4,
      width,
      height,
      12,
    );
    points(colours, frame, lit);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    centres = ellipses.map((e) => ({ ...e, x: screenX(e.x, frame), y: screenY(e.y, frame) }));
    outlines(colours, frame.scale, lit);
    badges(colours, lit);
    if (++frames % 500 === 0) performance.clearMeasures('scatter');
    performance.measure('scatter', { start: begun });
  }

  function points(colours: Rgb[], frame: Frame, lit: number) {
    const { xyz, labels } = picture!;
    const n = labels.length;
    if (xs.length !== n) [xs, ys] = [new Float32Array(n), new Float32Array(n)];
    for (let i = 0; i < n; i++) {
      const [x, y] = place(xyz, i, rotation);
      xs[i] = ratio * screenX(x, frame);
      ys[i] = ratio * screenY(y, frame);
    }
    const [w, h] = [canvas.width, canvas.height];
    if (image?.width !== w || image.height !== h) image = context.createImageData(w, h);
    const [r, g, b] = inkRgb('panel');
    new Uint32Array(image.data.buffer).fill(((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
    const opacity = Float32Array.from(colours, (_, c) => (lit < 0 ? 0.62 : c === lit ? 0.9 : 0.1));
    const radius = ratio * Math.min(3, Math.max(1.15, 3.2 * (600 / Math.max(1, n)) ** 0.28));
    drawPoints(image.data, [w, h], xs, ys, labels, colours, opacity, dotOf(radius, w));
    context.putImageData(image, 0, 0);
  }

  function outlines(colours: Rgb[], scale: number, lit: number) {
    for (const [c, { x, y, rx, ry, angle }] of centres.entries()) {
      context.beginPath();
      context.ellipse(x, y, Math.max(1, rx * scale), Math.max(1, ry * scale), -angle, 0, 2 * Math.PI);
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.25;
      // A light line under the coloured one keeps it visible on its own points.
      context.lineWidth = c === lit ? 5 : 3.5;
      context.strokeStyle = ink('panel');
      context.stroke();
      context.lineWidth = c === lit ? 2.5 : 1.5;
      context.strokeStyle = outlineOf(colours[c]);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** A cluster's colour, nearer to that of text: to be seen on its own points. */
  const outlineOf = (colour: Rgb) => hexOf(mix(colour, inkRgb('ink'), 0.4));

  /** Numbers at the centres; beside them where two would cover each other. */
  function badges(colours: Rgb[], lit: number) {
    const size = centres.length > 20 ? BADGE - 1 : BADGE;
    const order = [...centres.keys()].sort(
      (a, b) => picture!.clusters[b].weight - picture!.clusters[a].weight,
    );
    const spots = placeBadges(
      order.map((c) => centres[c]),
      2 * size + 3,
    );
    context.font = `600 ${size + 2}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const drawing = order
      .map((c, i) => ({ c, spot: spots[i], ...centres[c] }))
      .sort((a, b) => Number(a.c === lit) - Number(b.c === lit));
    const style = (c: number) => {
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.45;
      context.fillStyle = ink('panel');
      context.strokeStyle = outlineOf(colours[c]);
      context.beginPath();
    };
    context.lineWidth = 2;
    for (const { c, spot, x, y } of drawing) {
      if (spot?.x === x && spot.y === y) continue;
      style(c);
      if (spot) context.moveTo(spot.x, spot.y);
      context.lineTo(x, y);
      context.stroke();
      context.beginPath();
      context.arc(x, y, 2.5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
    for (const { c, spot } of drawing) {
      if (!spot) continue;
      style(c);
      context.arc(spot.x, spot.y, size, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      context.fillStyle = ink('ink');
      context.fillText(String(c), spot.x, spot.y + 0.5);
    }
    context.globalAlpha = 1;
  }

  return {
    draw,
    show(next) {
      picture = next;
      byId('scatter-empty').hidden = true;
      byId('turn-hint').hidden = !turns();
      say(byId('axes'), axesText(next));
      canvas.setAttribute(
        'aria-label',
        `${count(next.labels.length)} points of the sample in ${next.k} clusters`,
      );
      later();
    },
  };
}

/** Says what is across and up. */
function axesText({ dim, k, shares }: Picture): string {
  if (dim === 1) return 'one dimension; up and down mean nothing';
  if (k === 1) return 'axes of largest variance';
  const shown = shares[0] + shares[1];
  return `${percent(shown, 0)} of the between-cluster scatter`;
}
