import { counted } from '../../base/quantities.ts';
import { hasComponents, shareOf } from '../drawing/cluster-table.ts';
import type { ModelView } from '../drawing/model-view.ts';
import {
  axesText,
  dotOf,
  drawPoints,
  ellipsesText,
  IDENTITY,
  type PointScene,
  pointScene,
  type Rotation,
  rotate,
  rotatePoint,
  shownAsAWhole,
  WHOLE,
  type Zoom,
} from '../drawing/points.ts';
import { colourOf, DASHES, hexOf, mix, type Rgb, rgbOf } from '../drawing/svg.ts';
import { percent } from '../drawing/text.ts';
import { cssColour, cssRgb } from './controls.ts';
import { byId, fitCanvas, placeTooltip, setText } from './dom.ts';
import { arrowOf, moved, onGestures, type PicturePoint, zoomAt, zoomByKey } from './gestures.ts';
import type { Highlight, montageOf } from './rows.ts';

/** The plot of sample points: canvas, pointer, keys. Geometry is in page/drawing/; states and samples come from the worker thread. */

/** Radians of rotation per pixel of dragging and per key press. */
const PER_PIXEL = 0.008;
const PER_KEY = 0.12;

/** The sample points with the ellipses and centres of the clusters. */
export function scatterPlot(
  highlight: Highlight,
  montage: ReturnType<typeof montageOf>,
  requestDraw: () => void,
) {
  const box = byId('scatter-box');
  const canvas = byId<HTMLCanvasElement>('scatter');
  const tooltip = byId('scatter-tip');
  const reset = byId<HTMLButtonElement>('reset');
  const context = canvas.getContext('2d', { alpha: false })!;
  let view: ModelView | null = null;
  let rotation: Rotation = IDENTITY;
  let image: ImageData | null = null;
  let scene: PointScene | null = null;
  let ratio = 1;
  let frames = 0;
  let zoom = WHOLE;
  let whole: boolean[] = [];

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
    zoomTo(zoom);
  };

  onGestures(canvas, {
    drag(dx, dy, event) {
      const isMoved = !canRotate() || event.shiftKey || event.pointerType === 'touch';
      if (isMoved && zoom !== WHOLE) zoomTo(moved(zoom, dx, dy, size()));
      else rotateBy(dx * PER_PIXEL, dy * PER_PIXEL);
    },
    zoom: (by, at) => zoomTo(zoomAt(zoom, by, at, size())),
    click(at) {
      if (!view) return;
      const { cluster, point } = whatIsAt(at);
      if (cluster !== null)
        highlight.pin(view.clusters[cluster].slot, point === null ? null : (view.rows[point] ?? null));
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
    const arrow = arrowOf(event.key);
    if (arrow && canRotate()) {
      event.preventDefault();
      rotateBy(arrow[0] * PER_KEY, arrow[1] * PER_KEY);
    } else if (event.key === 'Home') reset.click();
  };
  reset.onclick = () => {
    // Hiding the focused button would lose the focus.
    if (document.activeElement === reset) canvas.focus();
    rotation = IDENTITY;
    zoomTo(WHOLE);
  };
  highlight.onChange(requestDraw);

  /** The cluster whose number, or the point that, is there. */
  function whatIsAt([x, y]: PicturePoint): { cluster: number | null; point: number | null } {
    if (!scene) return { cluster: null, point: null };
    const { numbers, numberRadius, xs, ys } = scene;
    const cluster = numbers.findIndex(
      (spot) => spot && Math.hypot(spot.x - x, spot.y - y) <= numberRadius + 1,
    );
    if (cluster >= 0) return { cluster, point: null };
    let [best, nearest] = [-1, 10 ** 2];
    for (let i = 0; i < xs.length; i++) {
      const squared = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
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

  function hoverAt(at: PicturePoint) {
    if (!view) return;
    const { cluster, point } = whatIsAt(at);
    if (cluster === null) return leave();
    const own = view.clusters[cluster];
    const { id, slot, rows, group, components } = own;
    const share = shareOf(view, cluster);
    highlight.hover(slot);
    const joined = group ? ` · joined as ${group}` : '';
    const within = hasComponents(own) ? ` · ${counted(components.length, 'component')}` : '';
    const size = `${counted(Math.round(rows), 'row')} · ${percent(share)}`;
    setText(tooltip, `Cluster ${id} · ${size}${within}${joined}`);
    placeTooltip(tooltip, at[0], at[1], box.clientWidth, box.clientHeight);
    montage.show(point === null ? cluster : null, id);
  }

  function draw() {
    if (!view) return;
    const begun = performance.now();
    const [width, height] = size();
    ratio = fitCanvas(canvas, width, height);
    scene = pointScene(view, { width, height, rotation: turned(), zoom }, whole);
    const colours = view.clusters.map(({ colour }) => rgbOf(colourOf(colour)));
    const lit = view.clusters.findIndex(({ slot }) => slot === highlight.current);
    paintPoints(scene, colours, lit);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintOutlines(scene, colours, lit);
    paintNumbers(scene, colours, lit);
    if (++frames % 500 === 0) performance.clearMeasures('scatter');
    performance.measure('scatter', { start: begun });
  }

  function paintPoints({ xs, ys, radius }: PointScene, colours: Rgb[], lit: number) {
    const [w, h] = [canvas.width, canvas.height];
    if (image?.width !== w || image.height !== h) image = context.createImageData(w, h);
    const [r, g, b] = cssRgb('panel');
    new Uint32Array(image.data.buffer).fill(((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
    const opacity = Float32Array.from(colours, (_, c) => (lit < 0 ? 0.62 : c === lit ? 0.9 : 0.1));
    const scaled = (values: Float32Array) => (ratio === 1 ? values : values.map((value) => ratio * value));
    const dot = dotOf(ratio * radius, w);
    drawPoints(image.data, [w, h], scaled(xs), scaled(ys), view!.labels, colours, opacity, dot);
    context.putImageData(image, 0, 0);
  }

  function paintOutlines({ outlines }: PointScene, colours: Rgb[], lit: number) {
    for (const [c, outline] of outlines.entries()) {
      if (!outline) continue;
      const path = new Path2D(outline);
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.25;
      // A light line under the coloured one keeps the ellipse visible on points of the same colour.
      context.lineWidth = c === lit ? 5 : 3.5;
      context.strokeStyle = cssColour('panel');
      context.stroke(path);
      context.lineWidth = c === lit ? 2.5 : 1.5;
      context.strokeStyle = outlineOf(colours[c]);
      context.setLineDash(hasComponents(view!.clusters[c]) ? DASHES : []);
      context.stroke(path);
      context.setLineDash([]);
    }
    context.globalAlpha = 1;
  }

  /** The colour of a cluster mixed with the text colour, to stand out against its own points. */
  const outlineOf = (colour: Rgb) => hexOf(mix(colour, cssRgb('ink'), 0.4));

  /** Cluster numbers at the centres, or beside them with a line. */
  function paintNumbers({ centres, numbers, numberRadius }: PointScene, colours: Rgb[], lit: number) {
    context.font = `600 ${numberRadius + 2}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineWidth = 2;
    const order = [...centres.keys()]
      .filter((c) => Number.isFinite(centres[c].x))
      .sort((a, b) => Number(a === lit) - Number(b === lit));
    const startPath = (c: number) => {
      context.globalAlpha = lit < 0 || c === lit ? 1 : 0.45;
      context.fillStyle = cssColour('panel');
      context.strokeStyle = outlineOf(colours[c]);
      context.beginPath();
    };
    for (const c of order) {
      const [spot, { x, y }] = [numbers[c], centres[c]];
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
    for (const c of order) {
      const spot = numbers[c];
      if (!spot) continue;
      startPath(c);
      context.arc(spot.x, spot.y, numberRadius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      context.fillStyle = cssColour('ink');
      context.fillText(String(view!.clusters[c].id), spot.x, spot.y + 0.5);
    }
    context.globalAlpha = 1;
  }

  return {
    draw,
    /** The points as they are drawn, for a file. */
    table(): (string | number)[][] {
      if (!view) return [];
      const { xyz, labels, rows } = view;
      const points = Array.from(labels, (cluster, i) => {
        const [x, y] = rotatePoint(xyz, i, turned()).map((value) => Number(value.toPrecision(6)));
        return [rows[i], view!.clusters[cluster].id, x, y];
      });
      const table = [['row', 'cluster', 'x', 'y'], ...points];
      return rows.length ? table : table.map((line) => line.slice(1));
    },
    show(next: ModelView) {
      view = next;
      whole = shownAsAWhole(next);
      byId('scatter-empty').hidden = true;
      byId('turn-hint').hidden = !canRotate();
      // There is a better one.
      byId('on-map').hidden = next.dim <= 2 || !byId('panel-whole').hidden;
      byId('ellipse-hint').hidden = next.isMap;
      setText(byId('ellipse-hint'), `${ellipsesText(next)}.`);
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
