import type { Rgb } from '../view/palette.ts';
import { byId } from './dom.ts';
import { keep, recall } from './storage.ts';

type Theme = 'light' | 'dark';

const KEY = 'dpmesh-theme';
const listeners: (() => void)[] = [];
let inks = new Map<string, string>();

/** Not at the top: the page's worker loads this file too and has no window. */
const systemIsDark = () => window.matchMedia('(prefers-color-scheme: dark)');

const chosen = () => document.documentElement.dataset.theme as Theme | undefined;

/** A colour of app.css by the name of its property, as a canvas takes it. */
export function ink(name: string): string {
  let found = inks.get(name);
  if (!found) {
    const probe = byId('announce');
    probe.style.color = `var(--${name})`;
    inks.set(name, (found = getComputedStyle(probe).color));
    probe.style.color = '';
  }
  return found;
}

/** The three numbers of such a colour. */
export const inkRgb = (name: string) =>
  (ink(name).match(/[\d.]+/g) ?? ['0', '0', '0']).slice(0, 3).map(Number) as unknown as Rgb;

/** Calls back when the theme has changed: canvases have to be drawn anew. */
export const onTheme = (listener: () => void) => void listeners.push(listener);

/** The button that goes round: as the system, light, dark. The choice is kept in this browser. */
export function themeButton(): void {
  const button = byId<HTMLButtonElement>('theme');
  const system = systemIsDark();
  const kept = recall('localStorage', KEY);
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
  show();
  button.onclick = () => {
    const now = chosen();
    const other: Theme = system.matches ? 'light' : 'dark';
    if (!now) set(other);
    else if (now === other) set(other === 'dark' ? 'light' : 'dark');
    else set(null);
    show();
    changed();
  };
  system.onchange = changed;

  function set(to: Theme | null) {
    if (to) document.documentElement.dataset.theme = to;
    else delete document.documentElement.dataset.theme;
    keep('localStorage', KEY, to);
  }

  function show() {
    const now = chosen();
    button.textContent = now === 'dark' ? '●' : now === 'light' ? '○' : '◐';
    button.title = `Theme: ${now ?? 'as the system'}`;
    button.setAttribute('aria-label', button.title);
  }

  function changed() {
    inks = new Map();
    for (const listener of listeners) listener();
  }
}
