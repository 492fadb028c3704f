/** The result of one check of `dpmesh doctor`: what was checked, what it showed, and what to do if there is a problem. */
export interface CheckResult {
  name: string;
  status: 'ok' | 'warning' | 'failure';
  detail: string;
  remedy?: string;
}

const check =
  (status: CheckResult['status']) =>
  (name: string, detail: string, remedy?: string): CheckResult =>
    remedy ? { name, status, detail, remedy } : { name, status, detail };
export const ok = check('ok');
export const warning = check('warning');
export const failure = check('failure');

const GIB = 2 ** 30;
export const gib = (bytes: number) => `${(bytes / GIB).toFixed(bytes < 100 * GIB ? 1 : 0)} GiB`;
