import { isOver, type RunInfo, type Status } from '../view/api.ts';
import { byId, setText } from './dom.ts';
import { readSetting, saveSetting } from './storage.ts';

type ShowNotice = (text: string, tone?: 'good' | 'bad') => void;

const KEY = 'dpmesh-token';
/** Characters that a token may have. Browsers refuse to send some others (curly quotes) in a header. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Pause, checkpoint and stop (after a confirmation). A token, if required, is kept for this tab only. */
export function controls(notice: ShowNotice): {
  show(run: RunInfo, status: Status, isConnected: boolean): void;
} {
  const pause = byId<HTMLButtonElement>('pause');
  const checkpoint = byId<HTMLButtonElement>('checkpoint');
  const stop = byId<HTMLButtonElement>('stop');
  const token = byId<HTMLInputElement>('token');
  const confirm = byId<HTMLDialogElement>('confirm');
  let status: Status = 'starting';
  let needsToken = false;
  token.value = readSetting('sessionStorage', KEY) ?? '';
  token.onchange = () => saveSetting('sessionStorage', KEY, token.value);

  pause.onclick = () =>
    status === 'paused' ? post('resume', 'Resuming.') : post('pause', 'Pausing after the current epoch.');
  checkpoint.onclick = () => post('checkpoint', 'Writing a checkpoint.');
  stop.onclick = () => confirm.showModal();
  byId('confirm-no').onclick = () => confirm.close();
  byId('confirm-yes').onclick = () => {
    confirm.close();
    post('stop', 'The run is stopping.');
  };

  async function post(action: string, confirmation: string) {
    const value = token.value.trim();
    const isToken = TOKEN.test(value);
    if (needsToken && !isToken) return askForToken();
    const headers: HeadersInit = isToken ? { authorization: `Bearer ${value}` } : {};
    let response: Response;
    try {
      response = await fetch(`/api/${action}`, { method: 'POST', headers });
    } catch {
      return notice('The coordinator is not responding.', 'bad');
    }
    if (response.ok) return notice(confirmation);
    if (response.status === 401) return askForToken();
    notice(`Request rejected: ${await errorText(response)}`, 'bad');
  }

  function askForToken() {
    notice('The coordinator requires the token it was started with (--http-token): enter it above.', 'bad');
    byId('token-field').hidden = false;
    token.focus();
  }

  return {
    show(run, newStatus, isConnected) {
      status = newStatus;
      needsToken = run.token;
      byId('controls').hidden = !run.controls || isOver(status);
      if (run.token) byId('token-field').hidden = false;
      setText(pause, status === 'paused' ? 'Resume' : 'Pause');
      const isTraining = status === 'running' || status === 'paused';
      pause.disabled = !isTraining || !isConnected;
      checkpoint.disabled = !isTraining || !isConnected;
      stop.disabled = !(isTraining || status === 'finishing' || status === 'starting') || !isConnected;
      if (isOver(status) && confirm.open) confirm.close();
    },
  };
}

async function errorText(response: Response): Promise<string> {
  try {
    return (await response.json()).error;
  } catch {
    return `HTTP status ${response.status}`;
  }
}
