import type { Rgb } from '../view/palette.ts';
import { byId } from './dom.ts';

type Theme = 'light' | 'dark';

const KEY = 'dpmesh-theme';
const listeners: (() => void)[] = [];
let colours = new Map<string, string>();

/** A function, because the Web Worker loads this file too and has no window. */
const systemIsDark = () => window.matchMedia('(prefers-color-scheme: dark)');

const chosenTheme = () => document.documentElement.dataset.theme as Theme | undefined;

/** The value of a colour property of app.css, as a canvas takes it. `name` is without the leading dashes. */
export function cssColour(name: string): string {
  let colour = colours.get(name);
  if (!colour) {
    const probe = byId('announce');
    probe.style.color = `var(--${name})`;
    colours.set(name, (colour = getComputedStyle(probe).color));
    probe.style.color = '';
  }
  return colour;
}

/** The red, green and blue values of such a colour, 0 … 255. */
export const cssRgb = (name: string) =>
  (cssColour(name).match(/[\d.]+/g) ?? ['0', '0', '0']).slice(0, 3).map(Number) as unknown as Rgb;

/** Calls back when the theme has changed and canvases must be redrawn. */
export const onThemeChange = (listener: () => void) => void listeners.push(listener);

/** The button that cycles through the themes system, light and dark. The choice is stored in this browser. */
export function themeButton(): void {
  const button = byId<HTMLButtonElement>('theme');
  const system = systemIsDark();
  const stored = readSetting(KEY);
  if (stored === 'light' || stored === 'dark') document.documentElement.dataset.theme = stored;
  show();
  button.onclick = () => {
    const theme = chosenTheme();
    const other: Theme = system.matches ? 'light' : 'dark';
    if (!theme) set(other);
    else if (theme === other) set(other === 'dark' ? 'light' : 'dark');
    else set(null);
    show();
    changed();
  };
  system.onchange = changed;

  function set(theme: Theme | null) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    saveSetting(KEY, theme);
  }

  function show() {
    const theme = chosenTheme();
    button.textContent = theme === 'dark' ? '●' : theme === 'light' ? '○' : '◐';
    button.title = `Theme: ${theme ?? 'system'}`;
    button.setAttribute('aria-label', button.title);
  }

  function changed() {
    colours = new Map();
    for (const listener of listeners) listener();
  }
}

/** A stored value, or null. Where storage is denied, the mere access to the property throws. */
function readSetting(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Stores a value; null or an empty string removes it. */
function saveSetting(key: string, value: string | null): void {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // Without storage the value lasts until the page is closed.
  }
}
