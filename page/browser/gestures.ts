import { WHOLE, type Zoom } from '../drawing/points.ts';

/** In pixels from the upper left corner of a picture. */
export type PicturePoint = readonly [x: number, y: number];

/** What is done with a pointer, a wheel or two fingers on a picture. */
export interface Gestures {
  /** One pointer was dragged by so much. */
  drag(dx: number, dy: number, event: PointerEvent): void;
  /** The wheel, or two fingers. */
  zoom(by: number, at: PicturePoint): void;
  click(at: PicturePoint): void;
  /** The pointer is there, without being pressed; null: it has left. */
  hover(at: PicturePoint | null): void;
}

/** A pointer that moves less is not dragged. */
const CLICK_PIXELS = 4;
const PER_WHEEL_PIXEL = 0.002;
const PIXELS_PER_LINE = 18;

/**
 * Listens to an element. The wheel counts where the element has the focus, as after a click, or with Ctrl, as browsers send it for
 * two fingers on a touchpad; else it scrolls the page.
 */
export function onGestures(element: HTMLElement, on: Gestures): void {
  const pressed = new Map<number, PointerEvent>();
  let isDrag = false;
  const placeOf = ({ clientX, clientY }: MouseEvent): PicturePoint => {
    const { left, top } = element.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };
  element.onpointerdown = (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, event);
    isDrag = pressed.size > 1;
  };
  element.onpointermove = (event) => {
    const before = pressed.get(event.pointerId);
    if (!before) return void (pressed.size || on.hover(placeOf(event)));
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    if (!isDrag && Math.hypot(dx, dy) < CLICK_PIXELS) return;
    isDrag = true;
    pressed.set(event.pointerId, event);
    const other = [...pressed.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    if (!other) return on.drag(dx, dy, event);
    const apart = (one: PointerEvent) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const [[x, y], [u, v]] = [placeOf(event), placeOf(other)];
    on.drag(dx / 2, dy / 2, event);
    on.zoom(apart(event) / Math.max(1, apart(before)), [(x + u) / 2, (y + v) / 2]);
  };
  element.onpointerup = (event) => {
    if (pressed.delete(event.pointerId) && !isDrag) on.click(placeOf(event));
  };
  element.onpointercancel = ({ pointerId }) => void pressed.delete(pointerId);
  element.onpointerleave = () => on.hover(null);
  element.addEventListener(
    'wheel',
    (event) => {
      const hasFocus = document.activeElement === element || element.contains(document.activeElement);
      if (!hasFocus && !event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? PIXELS_PER_LINE : 1);
      on.zoom(Math.exp(-PER_WHEEL_PIXEL * pixels * (event.ctrlKey ? 4 : 1)), placeOf(event));
    },
    { passive: false },
  );
}

/** The strongest magnification. */
const MOST = 60;
/** By one press of a key, or of a button. */
const STEP = 1.4;

type Size = readonly [width: number, height: number];

/** Magnified further by `by`, at the most `most` times the whole, so that what is at (x, y) stays there. */
export function zoomAt(zoom: Zoom, by: number, [x, y]: PicturePoint, size: Size, most = MOST): Zoom {
  const factor = Math.min(most, Math.max(1, zoom.factor * by));
  const ratio = factor / zoom.factor;
  return inside({ factor, x: x - ratio * (x - zoom.x), y: y - ratio * (y - zoom.y) }, size);
}

export const moved = (zoom: Zoom, dx: number, dy: number, size: Size): Zoom =>
  inside({ ...zoom, x: zoom.x + dx, y: zoom.y + dy }, size);

/** No further than to the edges of the picture. */
function inside({ factor, x, y }: Zoom, [width, height]: Size): Zoom {
  if (factor <= 1) return WHOLE;
  const within = (at: number, length: number) => Math.min(0, Math.max(length * (1 - factor), at));
  return { factor, x: within(x, width), y: within(y, height) };
}

/** What a key does to the zoom: +, −, 0, and with Shift the arrows; null for all others. */
export function zoomByKey(
  zoom: Zoom,
  { key, shiftKey }: KeyboardEvent,
  size: Size,
  most = MOST,
): Zoom | null {
  const middle = [size[0] / 2, size[1] / 2] as const;
  if (key === '+' || key === '=') return zoomAt(zoom, STEP, middle, size, most);
  if (key === '-') return zoomAt(zoom, 1 / STEP, middle, size);
  if (key === '0') return WHOLE;
  const arrow = arrowOf(key);
  if (!shiftKey || !arrow) return null;
  return moved(zoom, (-arrow[0] * size[0]) / 10, (-arrow[1] * size[1]) / 10, size);
}

/** Where an arrow key points, in units to the right and down. */
export const arrowOf = (key: string): PicturePoint | undefined =>
  (({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }) as const)[
    key as 'ArrowUp'
  ];
