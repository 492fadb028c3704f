/** The element of index.html with this id. Throws if there is none. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/** Creates an element with a class and text or children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  ...content: (string | Node)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/** Sets the text only if it differs, so that nothing is laid out or announced again. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

const shownHtml = new WeakMap<Element, string>();

/**
 * Sets the content only if it differs from what was set before, and then only what differs in it: elements keep focus, pointer and
 * listeners. All texts in it must be escaped.
 */
export function setHtml(element: Element, html: string): void {
  if (shownHtml.get(element) === html) return;
  shownHtml.set(element, html);
  const made = element.cloneNode(false) as Element;
  made.innerHTML = html;
  becomeChildren(element, made);
}

/** Makes the children of one element those of another, which may lose them. */
export function becomeChildren(element: Element, next: Element): void {
  const [before, after] = [[...element.childNodes], [...next.childNodes]];
  const isAlike =
    before.length === after.length && before.every((node, i) => node.nodeName === after[i].nodeName);
  if (!isAlike) {
    element.replaceChildren(...after);
    return;
  }
  for (const [i, node] of before.entries()) {
    const wanted = after[i];
    if (node.isEqualNode(wanted)) continue;
    if (!(node instanceof Element && wanted instanceof Element)) node.textContent = wanted.textContent;
    else {
      for (const { name } of [...node.attributes]) if (!wanted.hasAttribute(name)) node.removeAttribute(name);
      for (const { name, value } of wanted.attributes)
        if (node.getAttribute(name) !== value) node.setAttribute(name, value);
      becomeChildren(node, wanted);
    }
  }
}

/** Puts children in this order, before all others; moves only those that are not where they should be. */
export function inOrder(parent: Element, children: readonly Element[]): void {
  let at = parent.firstElementChild;
  for (const child of children) {
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
}

/** Shows a tooltip next to a point of its box (pixels), inside the box. */
export function placeTooltip(tip: HTMLElement, x: number, y: number, width: number, height: number): void {
  tip.hidden = false;
  const left = Math.max(4, Math.min(x + 14, width - tip.offsetWidth - 4));
  const above = y - tip.offsetHeight - 10;
  const top = above < 4 ? Math.min(y + 18, height - tip.offsetHeight - 4) : above;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(Math.max(4, top))}px)`;
}

/** Sizes a canvas in device pixels for a width and height in CSS pixels. Returns the ratio of the two. */
export function fitCanvas(canvas: HTMLCanvasElement, width: number, height: number): number {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  return ratio;
}
