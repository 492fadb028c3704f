import { isOver, type RunInfo, type Status } from '../view/api.ts';
import { byId, say } from './dom.ts';
import { keep, recall } from './storage.ts';

type Notice = (text: string, tone?: 'good' | 'bad') => void;

const KEY = 'dpmesh-token';
/** What a token may be made of. Others are none, and some of them (curly quotes) no browser sends in a header. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Pause, checkpoint, stop. Stopping asks first; where a token is needed it is kept for this tab only. */
export function controls(notice: Notice): { show(run: RunInfo, status: Status, reached: boolean): void } {
  const pause = byId<HTMLButtonElement>('pause');
  const checkpoint = byId<HTMLButtonElement>('checkpoint');
  const stop = byId<HTMLButtonElement>('stop');
  const token = byId<HTMLInputElement>('token');
  const confirm = byId<HTMLDialogElement>('confirm');
  let status: Status = 'starting';
  let needsToken = false;
  token.value = recall('sessionStorage', KEY) ?? '';
  token.onchange = () => keep('sessionStorage', KEY, token.value);

  pause.onclick = () =>
    status === 'paused' ? post('resume', 'Goes on.') : post('pause', 'Pauses when this epoch is over.');
  checkpoint.onclick = () => post('checkpoint', 'A checkpoint is being written.');
  stop.onclick = () => confirm.showModal();
  byId('confirm-no').onclick = () => confirm.close();
  byId('confirm-yes').onclick = () => {
    confirm.close();
    post('stop', 'The run is stopping.');
  };

  async function post(what: string, done: string) {
    const given = token.value.trim();
    const isToken = TOKEN.test(given);
    if (needsToken && !isToken) return askForToken();
    const headers: HeadersInit = isToken ? { authorization: `Bearer ${given}` } : {};
    let got: Response;
    try {
      got = await fetch(`/api/${what}`, { method: 'POST', headers });
    } catch {
      return notice('The coordinator does not answer.', 'bad');
    }
    if (got.ok) return notice(done);
    if (got.status === 401) return askForToken();
    notice(`Refused: ${await reasonOf(got)}`, 'bad');
  }

  function askForToken() {
    notice('The coordinator wants the token that it was started with (--http-token): enter it above.', 'bad');
    byId('token-field').hidden = false;
    token.focus();
  }

  return {
    show(run, now, reached) {
      status = now;
      needsToken = run.token;
      byId('controls').hidden = !run.controls || isOver(now);
      if (run.token) byId('token-field').hidden = false;
      say(pause, now === 'paused' ? 'Resume' : 'Pause');
      const at = now === 'running' || now === 'paused';
      pause.disabled = !at || !reached;
      checkpoint.disabled = !at || !reached;
      stop.disabled = !(at || now === 'finishing' || now === 'starting') || !reached;
      if (isOver(now) && confirm.open) confirm.close();
    },
  };
}

async function reasonOf(answer: Response): Promise<string> {
  try {
    return (await answer.json()).error;
  } catch {
    return `the coordinator answers ${answer.status}`;
  }
}
