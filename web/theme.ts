import type { Rgb } from '../view/palette.ts';
import { byId } from './dom.ts';

type Theme = 'light' | 'dark';

const KEY = 'dpmesh-theme';
const listeners: (() => void)[] = [];
let colours = new Map<string, string>();

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
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  // Where storage is denied, the mere access to the property throws, and the choice lasts until the page is closed.
  try {
    const stored = localStorage.getItem(KEY);
    if (stored === 'light' || stored === 'dark') document.documentElement.dataset.theme = stored;
  } catch {}
  show();
  button.onclick = () => {
    const theme = chosenTheme();
    const other: Theme = system.matches ? 'light' : 'dark';
    set(!theme ? other : theme === other ? (other === 'dark' ? 'light' : 'dark') : null);
    show();
    changed();
  };
  system.onchange = changed;

  function set(theme: Theme | null) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    try {
      if (theme) localStorage.setItem(KEY, theme);
      else localStorage.removeItem(KEY);
    } catch {}
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
