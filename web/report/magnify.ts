import { onGestures } from '../gestures.ts';
import { moved, STEP, WHOLE, type Zoom, zoomAt, zoomByKey } from '../zoom.ts';

/** Where a picture was clicked, on the screen and in its own units. */
export interface ClickPlace {
  screen: [number, number];
  picture: [number, number];
}

/** Screen pixels from a click within which a point counts as meant. */
const REACH = 9;

/**
 * Makes a picture of points zoom, with buttons in `bar`. Points, lines and texts keep their size. `clicked` gets the place, and how
 * far from it a point may be, in units of the picture.
 */
export function magnifiable(
  svg: SVGSVGElement,
  bar: HTMLElement,
  clicked: (at: ClickPlace, reach: number) => void,
): void {
  const { width, height } = svg.viewBox.baseVal;
  let zoom = WHOLE;
  const size = () => {
    const box = svg.getBoundingClientRect();
    return [box.width, box.height] as const;
  };
  const restore = keepSizes(svg);
  svg.setAttribute('tabindex', '0');
  svg.classList.add('zooms');
  const button = (text: string, label: string, act: () => void) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.setAttribute('aria-label', label);
    made.onclick = act;
    bar.append(made);
    return made;
  };
  const middle = () => size().map((side) => side / 2) as [number, number];
  button('+', 'Zoom in', () => show(zoomAt(zoom, STEP, middle(), size())));
  button('−', 'Zoom out', () => show(zoomAt(zoom, 1 / STEP, middle(), size())));
  const reset = button('Reset', 'Show all', () => show(WHOLE));
  reset.disabled = true;

  function show(next: Zoom) {
    zoom = next;
    reset.disabled = zoom === WHOLE;
    const perPixel = width / size()[0];
    const { factor, x, y } = zoom;
    const box = [(-x * perPixel) / factor, (-y * perPixel) / factor, width / factor, height / factor];
    svg.setAttribute('viewBox', box.join(' '));
    svg.style.touchAction = zoom === WHOLE ? '' : 'none';
    restore(factor);
  }

  onGestures(svg, {
    drag(dx, dy) {
      if (zoom !== WHOLE) show(moved(zoom, dx, dy, size()));
    },
    zoom: (by, at) => show(zoomAt(zoom, by, at, size())),
    click([x, y]) {
      const { left, top } = svg.getBoundingClientRect();
      const perPixel = width / size()[0];
      const picture: [number, number] = [
        ((x - zoom.x) / zoom.factor) * perPixel,
        ((y - zoom.y) / zoom.factor) * perPixel,
      ];
      clicked({ screen: [left + x, top + y], picture }, (REACH * perPixel) / zoom.factor);
    },
    hover() {},
  });
  svg.addEventListener('keydown', (event) => {
    const next = event.target === svg ? zoomByKey(zoom, event, size()) : null;
    if (!next) return;
    event.preventDefault();
    show(next);
  });
}

/** Returns a function that undoes what a magnification by `factor` does to sizes: else nothing that overlaps would come apart. */
function keepSizes(svg: SVGSVGElement): (factor: number) => void {
  const shapes = [...svg.querySelectorAll<SVGPathElement>('.dots path')].flatMap((path) => {
    // Round dots are lines without a length, whose width is that of the group.
    const parts = path.getAttribute('d')!.split('M').slice(1);
    const shape = /^[-\d.]+ [-\d.]+(m.*)$/.exec(parts[0])?.[1];
    return shape ? [{ path, shape, at: parts.map((part) => part.slice(0, -shape.length)) }] : [];
  });
  const lines = [...svg.querySelectorAll<SVGElement>('[stroke-width]')].map((element) => ({
    element,
    width: Number(element.getAttribute('stroke-width')),
  }));
  const fixed = [...svg.querySelectorAll<SVGGraphicsElement>('text, .mark, .spot, .number')].flatMap(
    (element) => {
      if (element.parentElement?.closest('.spot, .number')) return [];
      const anchor = element.querySelector('circle') ?? element;
      const [x, y] = ['x', 'y'].map((name) =>
        Number(anchor.getAttribute(anchor === element ? name : `c${name}`)),
      );
      const box = element.getBBox();
      const at = x || y ? [x, y] : [box.x + box.width / 2, box.y + box.height / 2];
      return [{ element, at, before: element.getAttribute('transform') ?? '' }];
    },
  );
  return (factor) => {
    for (const { element, width } of lines) element.setAttribute('stroke-width', String(width / factor));
    for (const { path, shape, at } of shapes) {
      const small = shape.replace(
        /-?\d*\.?\d+/g,
        (number) => ` ${Number((Number(number) / factor).toFixed(4))}`,
      );
      path.setAttribute('d', at.map((place) => `M${place}${small}`).join(''));
    }
    for (const { element, at, before } of fixed) {
      const [x, y] = at;
      element.setAttribute(
        'transform',
        factor === 1 ? before : `translate(${x} ${y}) scale(${1 / factor}) translate(${-x} ${-y}) ${before}`,
      );
    }
  };
}
