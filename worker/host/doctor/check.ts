export type CheckStatus = 'ok' | 'warning' | 'failure';

/** The result of one check of `dpmesh doctor`: what was checked, what it showed, and what to do if there is a problem. */
export interface CheckResult {
  name: string;
  status: CheckStatus;
  detail: string;
  remedy?: string;
}

export const ok = (name: string, detail: string): CheckResult => ({ name, status: 'ok', detail });
export const warning = (name: string, detail: string, remedy?: string): CheckResult => ({
  name,
  status: 'warning',
  detail,
  ...(remedy && { remedy }),
});
export const failure = (name: string, detail: string, remedy: string): CheckResult => ({
  name,
  status: 'failure',
  detail,
  remedy,
});

const GIB = 2 ** 30;
export const gib = (bytes: number) => `${(bytes / GIB).toFixed(bytes < 100 * GIB ? 1 : 0)} GiB`;
