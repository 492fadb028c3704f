import { isOver, type RunInfo, type Status } from '../view/api.ts';
import { byId, setText } from './dom.ts';

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
