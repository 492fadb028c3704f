import { counted } from '../view/counted.ts';
import { colourOf, hexOf, mix, type Rgb, rgbOf } from '../view/palette.ts';
import { inPicture } from '../view/projection.ts';
import type { ModelView } from './analyse.ts';
import {
  type Ellipse,
  ellipseOf,
  IDENTITY,
  placeBadges,
  type Rotation,
  rotate,
  rotateCovariance,
  rotatePoint,
  screenX,
  screenY,
  type Viewport,
  viewportOf,
  zoomed,
} from './camera.ts';
import { byId, fitCanvas, placeTooltip, setText } from './dom.ts';
import { percent } from './format.ts';
import { onGestures } from './gestures.ts';
import type { Highlight } from './highlight.ts';
import type { Montage } from './montage.ts';
import { dotOf, drawPoints } from './points.ts';
import { cssColour, cssRgb } from './theme.ts';
import { moved, WHOLE, type Zoom, zoomAt, zoomByKey } from './zoom.ts';

/** Standard deviations that an ellipse shows. */
const SDS = 2;
/** Radius of the circle around a cluster number, pixels. */
const BADGE_RADIUS = 9;
/** Radians of rotation per pixel of dragging and per key press. */
const PER_PIXEL = 0.008;
const PER_KEY = 0.12;

export interface ScatterPlot {
  show(view: ModelView): void;
  draw(): void;
  /** The points as they are drawn, for a file. */
  table(): (string | number)[][];
}

/** The sample points with the ellipses and centres of the clusters. */
export function scatterPlot(highlight: Highlight, montage: Montage, requestDraw: () => void): ScatterPlot {
  const box = byId('scatter-box');
  const canvas = byId<HTMLCanvasElement>('scatter');
  const tooltip = byId('scatter-tip');
  const reset = byId<HTMLButtonElement>('reset');
  const context = canvas.getContext('2d', { alpha: false })!;
  let view: ModelView | null = null;
  let rotation: Rotation = IDENTITY;
  let image: ImageData | null = null;
  let xs = new Float32Array(0);
  let ys = new Float32Array(0);
  let centres: Ellipse[] = [];
  let ratio = 1;
  let frames = 0;
  let zoom = WHOLE;
  /** The clusters that the picture shows as a whole, however it is turned. */
  let counts: boolean[] = [];
  /** Where each cluster's number is; null: it has no room. */
  let badges: ({ x: number; y: number } | null)[] = [];

  const canRotate = () => (view?.dim ?? 0) >= 3 && !view?.isMap;
  const turned = () => (canRotate() ? rotation : IDENTITY);
  const size = () => [box.clientWidth, box.clientHeight] as const;
  const zoomTo = (next: Zoom) => {
    zoom = next;
    // One finger moves what is magnified, in place of the page.
    canvas.style.touchAction = zoom === WHOLE ? '' : 'none';
    reset.hidden = zoom === WHOLE && turned() === IDENTITY;
    tooltip.hidden = true;
    requestDraw();
  };
  const rotateBy = (right: number, down: number) => {
    if (!canRotate()) return;
    rotation = rotate(rotation, right, down);
    reset.hidden = false;
    tooltip.hidden = true;
    requestDraw();
  };

  onGestures(canvas, {
    drag(dx, dy, event) {
      if (canRotate() && !event.shiftKey && event.pointerType !== 'touch')
        rotateBy(dx * PER_PIXEL, dy * PER_PIXEL);
      else if (zoom !== WHOLE) zoomTo(moved(zoom, dx, dy, size()));
      else rotateBy(dx * PER_PIXEL, dy * PER_PIXEL);
    },
    zoom: (by, at) => zoomTo(zoomAt(zoom, by, at, size())),
    click(at) {
      if (!view) return;
      const { cluster, point } = whatIsAt(at);
      if (cluster !== null) highlight.pin(view.clusters[cluster].slot, point);
      else if (highlight.pinned !== null) highlight.togglePin(highlight.pinned);
    },
    hover: (at) => (at ? hoverAt(at) : leave()),
  });
  canvas.onkeydown = (event) => {
    const next = zoomByKey(zoom, event, size());
    if (next) {
      event.preventDefault();
      return zoomTo(next);
    }
    const [right, down] =
      { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (right !== undefined && canRotate()) {
      event.preventDefault();
      rotateBy(right * PER_KEY, down! * PER_KEY);
    } else if (event.key === 'Home') reset.click();
  };
  reset.onclick = () => {
    rotation = IDENTITY;
    zoomTo(WHOLE);
    // Hiding the focused button would lose the focus.
    if (document.activeElement === reset) canvas.focus();
    reset.hidden = true;
    requestDraw();
  };
  highlight.onChange(requestDraw);

  /** The cluster whose number, or the point that, is there. */
  function whatIsAt([x, y]: readonly [number, number]): { cluster: number | null; point: number | null } {
    for (const [c, spot] of badges.entries())
      if (spot && Math.hypot(spot.x - x, spot.y - y) <= BADGE_RADIUS + 1) return { cluster: c, point: null };
    let [best, nearest] = [-1, (10 * ratio) ** 2];
    for (let i = 0; i < xs.length; i++) {
      const squared = (xs[i] - x * ratio) ** 2 + (ys[i] - y * ratio) ** 2;
      if (squared < nearest) [best, nearest] = [i, squared];
    }
    const label = best < 0 ? -1 : view!.labels[best];
    return label < 0 || label >= view!.k ? { cluster: null, point: null } : { cluster: label, point: best };
  }

  function leave() {
    tooltip.hidden = true;
    montage.show(null);
    highlight.hover(null);
  }

  function hoverAt(at: readonly [number, number]) {
    if (!view) return;
    const { cluster, point } = whatIsAt(at);
    if (cluster === null) return leave();
    const { slot, rows, weight, group } = view.clusters[cluster];
    highlight.hover(slot);
    const joined = group ? ` · joined as ${group}` : '';
    setText(
      tooltip,
      `Cluster ${cluster} · ${counted(Math.round(rows), 'row')} · ${percent(weight)}${joined}`,
    );
    placeTooltip(tooltip, at[0], at[1], box.clientWidth, box.clientHeight);
    montage.show(point === null ? cluster : null);
  }

  function draw() {
    if (!view) return;
    const begun = performance.now();
    const [width, height] = [box.clientWidth, box.clientHeight];
    ratio = fitCanvas(canvas, width, height);
    const colours = view.clusters.map(({ colour }) => rgbOf(colourOf(colour)));
    const lit = view.clusters.findIndex(({ slot }) => slot === highlight.current);
    const ellipses = view.clusters.map((_, c) => {
      const [x, y] = rotatePoint(view!.centres, c, turned());
      return ellipseOf(x, y, rotateCovariance(view!.covariances, c, turned()), SDS);
    });
    const whole = viewportOf(
      ellipses.filter((_, c) => counts[c]),
      1.4,
      width,
      height,
      12,
    );
    const viewport = zoomed(whole, zoom);
    paintPoints(colours, viewport, lit);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    centres = ellipses.map((e) => ({ ...e, x: screenX(e.x, viewport), y: screenY(e.y, viewport) }));
    if (!view.isMap) paintEllipses(colours, viewport.scale, lit);
    paintBadges(colours, lit);
    if (++frames % 500 === 0) performance.clearMeasures('scatter');
    performance.measure('scatter', { start: begun });
  }

  function paintPoints(colours: Rgb[], viewport: Viewport, lit: number) {
    const { xyz, labels } = view!;
    const n = labels.length;
    const by = turned();
    if (xs.length !== n) [xs, ys] = [new Float32Array(n), new Float32Array(n)];
    for (let i = 0; i < n; i++) {
      const [x, y] = rotatePoint(xyz, i, by);
      xs[i] = ratio * screenX(x, viewport);
      ys[i] = ratio * screenY(y, viewport);
    }
    const [w, h] = [canvas.width, canvas.height];
    if (image?.width !== w || image.height !== h) image = context.createImageData(w, h);
    const [r, g, b] = cssRgb('panel');
    new Uint32Array(image.data.buffer).fill(((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
    const opacity = Float32Array.from(colours, (_, c) => (lit < 0 ? 0.62 : c === lit ? 0.9 : 0.1));
    const radius = ratio * Math.min(3, Math.max(1.15, 3.2 * (600 / Math.max(1, n)) ** 0.28));
    drawPoints(image.data, [w, h], xs, ys, labels, colours, opacity, dotOf(radius, w));
    context.putImageData(image, 0, 0);
  }

  function paintEllipses(colours: Rgb[], scale: number, lit: number) {
    for (const [c, { x, y, rx, ry, angle }] of centres.entries()) {
      context.beginPath();
      context.ellipse(x, y, Math.max(1, rx * scale), Math.max(1, ry * scale), -angle, 0, 2 * Math.PI);
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.25;
      // A light line under the coloured one keeps the ellipse visible on points of the same colour.
      context.lineWidth = c === lit ? 5 : 3.5;
      context.strokeStyle = cssColour('panel');
      context.stroke();
      context.lineWidth = c === lit ? 2.5 : 1.5;
      context.strokeStyle = outlineOf(colours[c]);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** The colour of a cluster mixed with the text colour, to stand out against its own points. */
  const outlineOf = (colour: Rgb) => hexOf(mix(colour, cssRgb('ink'), 0.4));

  /** Cluster numbers at the centres, or beside them where they would overlap. */
  function paintBadges(colours: Rgb[], lit: number) {
    const size = centres.length > 20 ? BADGE_RADIUS - 1 : BADGE_RADIUS;
    const order = [...centres.keys()].sort((a, b) => view!.clusters[b].weight - view!.clusters[a].weight);
    // The number of a cluster that lies outside stands at the edge, with a line that points there.
    const within = (value: number, length: number) =>
      zoom === WHOLE ? Math.min(Math.max(value, size + 2), length - size - 2) : value;
    const spots = placeBadges(
      order.map((c) => ({
        x: within(centres[c].x, box.clientWidth),
        y: within(centres[c].y, box.clientHeight),
      })),
      2 * size + 3,
    );
    context.font = `600 ${size + 2}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    badges = [];
    for (const [i, c] of order.entries()) badges[c] = spots[i];
    const drawn = order
      .map((c, i) => ({ c, spot: spots[i], ...centres[c] }))
      .sort((a, b) => Number(a.c === lit) - Number(b.c === lit));
    const startPath = (c: number) => {
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.45;
      context.fillStyle = cssColour('panel');
      context.strokeStyle = outlineOf(colours[c]);
      context.beginPath();
    };
    context.lineWidth = 2;
    for (const { c, spot, x, y } of drawn) {
      if (spot?.x === x && spot.y === y) continue;
      startPath(c);
      if (spot) context.moveTo(spot.x, spot.y);
      context.lineTo(x, y);
      context.stroke();
      context.beginPath();
      context.arc(x, y, 2.5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
    for (const { c, spot } of drawn) {
      if (!spot) continue;
      startPath(c);
      context.arc(spot.x, spot.y, size, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      context.fillStyle = cssColour('ink');
      context.fillText(String(c), spot.x, spot.y + 0.5);
    }
    context.globalAlpha = 1;
  }

  return {
    draw,
    table() {
      if (!view) return [];
      const { xyz, labels, rows } = view;
      const points = Array.from(labels, (cluster, i) => [
        ...(rows.length ? [rows[i]] : []),
        cluster,
        ...rotatePoint(xyz, i, turned()).map((value) => Number(value.toPrecision(6))),
      ]);
      return [[...(rows.length ? ['row'] : []), 'cluster', 'x', 'y'], ...points];
    },
    show(next) {
      view = next;
      counts = shownAsAWhole(next);
      byId('scatter-empty').hidden = true;
      byId('turn-hint').hidden = !canRotate();
      byId('on-map').hidden = next.dim <= 2;
      byId('ellipse-hint').hidden = next.isMap;
      byId('map-hint').hidden = !next.isMap;
      reset.hidden = zoom === WHOLE && turned() === IDENTITY;
      setText(byId('axes'), axesText(next));
      canvas.setAttribute(
        'aria-label',
        `${counted(next.labels.length, 'sample point')} in ${counted(next.k, 'cluster')}`,
      );
      requestDraw();
    },
  };
}

function shownAsAWhole({ k, clusters, centres, covariances }: ModelView): boolean[] {
  const all = Array.from({ length: k }, (_, c) => c);
  return inPicture(
    clusters.map(({ weight }) => weight),
    all.map((c) => centres.subarray(3 * c, 3 * c + 3)),
    all.map(
      (c) => SDS * Math.sqrt((covariances[9 * c] + covariances[9 * c + 4] + covariances[9 * c + 8]) / 2),
    ),
  );
}

/** Turns the map on and off. Returns what shows that it is on. */
export function mapButton(choose: (onMap: boolean) => void): (onMap: boolean) => void {
  const button = byId<HTMLButtonElement>('on-map');
  const press = (onMap: boolean) => button.setAttribute('aria-pressed', String(onMap));
  button.onclick = () => {
    const onMap = button.getAttribute('aria-pressed') !== 'true';
    press(onMap);
    choose(onMap);
  };
  return press;
}

/** What the two axes show. */
function axesText({ dim, k, shares, isMap }: ModelView): string {
  if (isMap) return 'a map';
  if (dim === 1) return 'one dimension; the vertical axis has no meaning';
  if (k === 1) return 'axes of largest variance';
  const shown = shares[0] + shares[1];
  return `${percent(shown, 0)} of the between-cluster scatter`;
}
