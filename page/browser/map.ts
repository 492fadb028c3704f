import { counted } from '../../base/quantities.ts';
import { type MapRow, RECORD, readRecord, WORDS } from '../../model/map-records.ts';
import type { ClusterDetails } from '../../run/described.ts';
import { nameBeside, type WholeMap } from '../../run/whole-map.ts';
import { nameOf, rowText, wordsText } from '../drawing/clusters.ts';
import type { MapSource } from '../drawing/map.ts';
import { type Frame, frameOf, type Point, recordsFor, shownPart, zoomTo } from '../drawing/map-frame.ts';
import { insideLabels, labelSize, type PlacedLabel, placeLabels } from '../drawing/map-picture.ts';
import type { ModelView } from '../drawing/model-view.ts';
import { WHOLE, type Zoom } from '../drawing/points.ts';
import { colourOf, NOISE_COLOUR, rgbOf } from '../drawing/svg.ts';
import { count, escaped } from '../drawing/text.ts';
import { cssRgb, onThemeChange } from './controls.ts';
import { byId, fitCanvas, make, placeTooltip, setHtml } from './dom.ts';
import type { Feed } from './feed.ts';
import { arrowOf, moved, onGestures, type PicturePoint, zoomAt, zoomByKey } from './gestures.ts';
import { mapColours } from './map-colours.ts';
import { flatPoints, glPoints } from './map-points.ts';
import { DENSITY_CELLS, mapRecords } from './map-records.ts';
import { foundRows, selectionPanel } from './map-rows.ts';
import type { Highlight } from './rows.ts';

/** The panel of the map of all rows: which rows it shows, names, pointer, search and selection. Bytes come from its `source`, which may be a server or the page itself. */

/** The strongest magnification, at which float32 is as exact as the screen. */
const MOST_ZOOM = 8192;
/** Points that are drawn while the map moves: at first, and at least and most, by how long frames take. */
const [FIRST, FEWEST, MOST] = [60_000, 15_000, 500_000];
/** As many times more when it stands still, after so many ms. */
const [STILL_TIMES, STILL_MS] = [4, 160];
/** Frames that take longer, ms, have too many points; those that take less could have more. */
const [SLOW, FAST] = [36, 20];
/** Diameters of points, pixels. */
const [SMALLEST, LARGEST] = [1.7, 7];
/** Pixels up to which a cell of the density is shown in full. */
const MOST_CELL = 4;
/** How far from a point the pointer may be, pixels; and when its row is asked for, ms. */
const [NEAR, ASK_MS] = [9, 120];

/** The panel of the map of all rows. `source`: null until there is one. */
export function wholeMap(
  highlight: Highlight,
  rows: Feed['rows'],
  source: MapSource,
): { show(view: ModelView): void; describe(known: readonly ClusterDetails[]): void } {
  const { index, clusters, names } = source.about;
  const [box, canvas, tooltip] = [byId('whole-box'), byId<HTMLCanvasElement>('whole'), byId('whole-tip')];
  const [labels, reset] = [byId('whole-labels'), byId<HTMLButtonElement>('whole-reset')];
  const search = byId<HTMLInputElement>('whole-search');
  const above = byId<HTMLCanvasElement>('whole-above').getContext('2d')!;
  const records = mapRecords(source, (from) => {
    points.arrived(from);
    if (colours.isShaded()) points.shaded();
    points.density(records.density());
    request();
  });
  const points = glPoints(canvas, records, restored) ?? flatPoints(canvas, records);
  byId('panel-whole').hidden = false;
  let view: ModelView | null = null;
  let zoom: Zoom = WHOLE;
  let isHome = true;
  let drawn = 0;
  let frame: Frame = frameOf(1, 1, WHOLE);
  let [budget, isMoving, lastMove] = [FIRST, false, 0];
  let still: ReturnType<typeof setTimeout> | undefined;
  let isRequested = false;

  const size = () => [box.clientWidth, box.clientHeight] as const;
  const data = source.data();
  const selection = selectionPanel(source, records, data, () => request());
  const found = foundRows(source, () => request());
  const colours = mapColours(source, records, () => {
    points.shaded();
    points.scale(colours.scale());
    request();
  });
  let details = new Map<number, ClusterDetails>();
  let hasTexts = false;
  const spans = placedNames();

  /** The names as elements, with their sizes. Texts are those of users. */
  function placedNames(): { label: PlacedLabel; span: HTMLElement }[] {
    const made = names.map((name) => {
      const span = make('span', name.layer ? 'upper' : '');
      span.style.fontSize = `${labelSize(name.layer)}px`;
      for (const line of name.lines) span.append(make('bdi', '', line));
      return span;
    });
    labels.replaceChildren(...made);
    const sized = names.map((name, i) => ({
      ...name,
      width: made[i].offsetWidth,
      height: made[i].offsetHeight,
    }));
    const [width, height] = size();
    const { side } = frameOf(width, height, zoomTo(index.home, width, height));
    return placeLabels(sized, side).map((label, i) => ({ label, span: made[i] }));
  }

  function zoomOn(next: Zoom, home = false) {
    zoom = next;
    isHome = home;
    reset.hidden = home;
    canvas.style.touchAction = home ? '' : 'none';
    tooltip.hidden = true;
    isMoving = true;
    clearTimeout(still);
    still = setTimeout(() => {
      isMoving = false;
      lastMove = 0;
      request();
    }, STILL_MS);
    request();
  }
  const goHome = () => zoomOn(zoomTo(index.home, ...size()), true);

  function request() {
    if (isRequested) return;
    isRequested = true;
    requestAnimationFrame(draw);
  }

  function draw(now: number) {
    isRequested = false;
    const [width, height] = size();
    if (!width || !height) return;
    if (isMoving) {
      const took = lastMove && now - lastMove;
      if (took > SLOW) budget = Math.max(FEWEST, budget * Math.max(0.5, SLOW / took));
      else if (took > 0 && took < FAST) budget = Math.min(MOST, budget * 1.1);
      lastMove = now;
    }
    const ratio = fitCanvas(canvas, width, height);
    frame = frameOf(width, height, zoom);
    const part = shownPart(frame);
    const most = isMoving ? budget : STILL_TIMES * budget;
    const wanted = recordsFor(records.places, records.count, part, most);
    if (records.count) void records.want(wanted.records);
    drawn = Math.min(records.count, wanted.records);
    const apart = Math.sqrt((width * height) / Math.max(1, drawn * wanted.share));
    // Magnified further, its cells would be seen.
    const cell = frame.side / DENSITY_CELLS;
    points.draw(
      {
        records: drawn,
        map: { x: ratio * frame.left, y: ratio * (height - frame.bottom), side: ratio * frame.side },
        density: 0.45 * (1 - drawn / index.records) * Math.min(1, MOST_CELL / cell),
        size: ratio * Math.min(LARGEST, Math.max(SMALLEST, 0.5 * apart)),
        opacity: 0.75,
        isShaded: colours.isShaded(),
      },
      cssRgb('soft'),
    );
    drawLabels();
    fitCanvas(above.canvas, width, height);
    above.setTransform(ratio, 0, 0, ratio, 0, 0);
    above.clearRect(0, 0, width, height);
    found.draw(above, frame, isMoving);
    selection.draw(above, frame);
    canvas.dataset.points = String(drawn);
  }

  function drawLabels() {
    const { side, left, bottom } = frame;
    const due = spans.filter(({ label }) => side >= label.from);
    const places = insideLabels(
      due.map(({ label }) => ({ ...label, x: label.x * side + left, y: bottom - label.y * side })),
      frame,
    );
    const corners = new Map(due.map(({ span }, i) => [span, places[i]]));
    for (const { span } of spans) {
      const place = corners.get(span);
      span.hidden = !place;
      if (place) span.style.transform = `translate(${Math.round(place[0])}px, ${Math.round(place[1])}px)`;
    }
  }

  /** Has a cluster the words that are looked for in its name, its keywords or its typical texts; or this number? */
  function isFound(cluster: WholeMap['clusters'][number]): boolean {
    const { label } = cluster;
    const wanted = search.value.trim().toLowerCase();
    if (!wanted || String(label) === wanted) return true;
    const own = details.get(label);
    const said = [nameBeside(cluster), wordsText(own), ...(own?.texts ?? [])];
    return said.some((text) => text.toLowerCase().includes(wanted));
  }

  function paint() {
    const lit = view?.clusters.find(({ slot }) => slot === highlight.current)?.id ?? null;
    points.colours([
      ...clusters.map((cluster) => ({
        colour: rgbOf(colourOf(cluster.label)),
        opacity: (lit === null ? isFound(cluster) : lit === cluster.label) ? 1 : 0.12,
      })),
      // Noise has the number after theirs.
      { colour: rgbOf(NOISE_COLOUR), opacity: lit === null && !search.value.trim() ? 0.5 : 0.12 },
    ]);
    request();
  }

  function restored() {
    points.arrived(0);
    points.shaded();
    points.density(records.density());
    points.scale(colours.scale());
    paint();
  }

  /** The row whose point is nearest to a place on the screen; null: there is none near it. */
  function rowAt([px, py]: PicturePoint): MapRow | null {
    const marked = found.nearest(...placeOf([px, py]), NEAR / frame.side);
    if (marked) return marked;
    const [x, y] = placeOf([px, py]);
    let [least, nearest] = [(NEAR / frame.side) ** 2, -1];
    for (let i = 0, at = 0; i < drawn; i++, at += WORDS.record) {
      const squared = (records.places[at + WORDS.x] - x) ** 2 + (records.places[at + WORDS.y] - y) ** 2;
      if (squared <= least) [least, nearest] = [squared, i];
    }
    return nearest < 0 ? null : readRecord(new DataView(records.bytes.buffer), RECORD * nearest);
  }

  const slotOf = (cluster: number) =>
    view?.clusters.find(({ id }) => id === clusters[cluster]?.label)?.slot ?? null;

  let hovered: number | null = null;
  function hover(at: PicturePoint | null) {
    const row = at && !isMoving && !selection.isOn() ? rowAt(at) : null;
    if (row?.row !== hovered) highlight.hover(row ? slotOf(row.cluster) : null);
    hovered = row?.row ?? null;
    if (!row || !at) return void (tooltip.hidden = true);
    const cluster = clusters[row.cluster];
    const title = cluster
      ? [`Cluster ${cluster.label}`, nameBeside(cluster)].filter(Boolean).join(' · ')
      : 'Noise: in no cluster';
    const scores = `confidence ${row.confidence.toFixed(2)} · outlier score ${row.outlier.toFixed(2)}`;
    const show = (content: string) => {
      setHtml(tooltip, `<strong>${escaped(title)}</strong>${content}<p>${scores}</p>`);
      placeTooltip(tooltip, at[0], at[1], box.clientWidth, box.clientHeight);
    };
    show(`<p>${escaped(nameOf(row))}</p>`);
    setTimeout(async () => {
      if (hovered !== row.row) return;
      const answer = await rows([row.row]);
      const content = answer?.rows[0];
      if (!content || hovered !== row.row) return;
      const image = content.image ? `<img class="row-image" src="${escaped(content.image)}" alt="">` : null;
      show(rowText(content, answer.names, image));
    }, ASK_MS);
  }

  const placeOf = ([x, y]: PicturePoint): Point => [
    (x - frame.left) / frame.side,
    (frame.bottom - y) / frame.side,
  ];
  onGestures(canvas, {
    drag(dx, dy, event) {
      const { left, top } = canvas.getBoundingClientRect();
      if (selection.isOn()) selection.add(placeOf([event.clientX - left, event.clientY - top]));
      else zoomOn(moved(zoom, dx, dy, size()));
    },
    zoom: (by, at) => zoomOn(zoomAt(zoom, by, at, size(), MOST_ZOOM)),
    click(at) {
      const row = rowAt(at);
      const slot = row && slotOf(row.cluster);
      if (row && slot !== null) highlight.pin(slot, row.row);
      else if (highlight.pinned !== null) highlight.togglePin(highlight.pinned);
    },
    hover,
  });
  canvas.addEventListener('pointerup', () => selection.close());
  canvas.onkeydown = (event) => {
    if (event.key === 'Home' || event.key === '0') {
      event.preventDefault();
      return goHome();
    }
    if (event.key === 'Enter' && selection.isOn()) return selection.take(shownPart(frame));
    if (event.key === 'Escape') return selection.clear();
    const arrow = arrowOf(event.key);
    const next = zoomByKey(zoom, event, size(), MOST_ZOOM);
    if (!next && !arrow) return;
    event.preventDefault();
    zoomOn(next ?? moved(zoom, (-arrow![0] * size()[0]) / 10, (-arrow![1] * size()[1]) / 10, size()));
  };
  reset.onclick = () => {
    canvas.focus();
    goHome();
  };
  search.oninput = () => {
    if (hasTexts) found.search(search.value.trim());
    paint();
  };
  void data.then((known) => {
    if (!known) return;
    hasTexts = known.hasTexts;
    colours.offer(known.columns);
    if (!hasTexts) return;
    search.setAttribute('aria-label', 'Find rows on the map by their texts, and clusters');
    // What was typed before this was known.
    found.search(search.value.trim());
  });
  highlight.onChange(paint);
  onThemeChange(() => {
    points.scale(colours.scale());
    colours.showLegend();
    request();
  });
  new ResizeObserver(() => (isHome ? goHome() : request())).observe(box);
  if (index.records < index.rows)
    byId('whole-keys').prepend(
      `Points are a random sample of ${count(index.records)} of ${counted(index.rows, 'row')}. `,
    );
  const k = index.places.filter(Boolean).length;
  canvas.setAttribute('aria-label', `Map of ${counted(index.rows, 'row')} in ${counted(k, 'cluster')}`);
  goHome();
  points.scale(colours.scale());
  paint();
  void records.want(1);
  return {
    show(next) {
      view = next;
    },
    /** What is known of clusters, by which they are found as well. */
    describe(known) {
      details = new Map(known.map((one) => [one.cluster, one]));
    },
  };
}
