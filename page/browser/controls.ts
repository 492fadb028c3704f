import { isOver, type RunInfo, type Status } from '../drawing/api.ts';
import type { Rgb } from '../drawing/svg.ts';
import { byId, setText } from './dom.ts';

/** The buttons of the page: pause, checkpoint, finish, abort, and the theme; and colours of the theme for canvases. It knows nothing of what the page shows. */

/** What is asked before a run is ended. */
const QUESTIONS = {
  finish: {
    title: 'Finish this run now?',
    text: 'Training ends after the current epoch, then all rows are labelled and the report is drawn, from the clusters as they are. An encoder that still learns ends after its current pass, and its latent vectors are clustered.',
    yes: 'Finish the run',
  },
  stop: {
    title: 'Abort this run?',
    text: 'Training stops after writing a final checkpoint. No results are written; dpmesh resume continues from the checkpoint, dpmesh finish labels the rows as of it.',
    yes: 'Abort the run',
  },
};
type End = keyof typeof QUESTIONS;

/** Pause, checkpoint, finish and abort (after a confirmation). */
export function controls(notice: (text: string, tone?: 'good' | 'bad') => void) {
  const pause = byId<HTMLButtonElement>('pause');
  const checkpoint = byId<HTMLButtonElement>('checkpoint');
  const ends = { finish: byId<HTMLButtonElement>('finish'), stop: byId<HTMLButtonElement>('stop') };
  const confirm = byId<HTMLDialogElement>('confirm');
  let status: Status = 'starting';

  pause.onclick = () =>
    status === 'paused' ? post('resume', 'Resuming.') : post('pause', 'Pausing after the current epoch.');
  checkpoint.onclick = () => post('checkpoint', 'Writing a checkpoint.');
  ends.finish.onclick = () => ask('finish');
  ends.stop.onclick = () => ask('stop');
  byId('confirm-no').onclick = () => confirm.close();

  function ask(end: End) {
    const { title, text, yes } = QUESTIONS[end];
    setText(byId('confirm-title'), title);
    setText(byId('confirm-text'), text);
    const button = byId<HTMLButtonElement>('confirm-yes');
    setText(button, yes);
    button.classList.toggle('danger', end === 'stop');
    button.onclick = () => {
      confirm.close();
      post(end, 'The run is stopping.');
    };
    confirm.showModal();
  }

  /** `confirmation`: shown where the answer says nothing more precise. */
  async function post(action: string, confirmation: string) {
    let response: Response;
    try {
      response = await fetch(`api/${action}`, { method: 'POST' });
    } catch {
      return notice('The coordinator is not responding.', 'bad');
    }
    if (response.ok) return notice(await doneText(response, confirmation));
    notice(`Request rejected: ${await errorText(response)}`, 'bad');
  }

  return {
    show(run: RunInfo, newStatus: Status, isConnected: boolean) {
      status = newStatus;
      byId('controls').hidden = !run.controls || isOver(status);
      setText(pause, status === 'paused' ? 'Resume' : 'Pause');
      const isTraining = status === 'running' || status === 'paused';
      pause.disabled = !isTraining || !isConnected;
      checkpoint.disabled = !isTraining || !isConnected;
      for (const button of Object.values(ends)) button.disabled = isOver(status) || !isConnected;
      if (isOver(status) && confirm.open) confirm.close();
    },
  };
}

async function doneText(response: Response, otherwise: string): Promise<string> {
  if (response.status === 204) return otherwise;
  const { message } = await response.json();
  return `${message[0].toUpperCase()}${message.slice(1)}.`;
}

const errorText = (response: Response): Promise<string> =>
  response.json().then(
    ({ error }) => error,
    () => `HTTP status ${response.status}`,
  );

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
