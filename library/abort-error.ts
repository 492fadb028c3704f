/** The run was stopped by its `signal` or over HTTP. The message says where it is saved and how to resume it. */
export class AbortError extends Error {
  override name = 'AbortError';
  readonly code = 'ABORT_ERR';
}
