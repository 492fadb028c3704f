import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where setups live, so that any checkout finds them again: the user's data folder of this platform. */
export function dataFolder(): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  if (XDG_DATA_HOME) return join(XDG_DATA_HOME, 'dpmesh');
  if (process.platform === 'win32')
    return join(LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'dpmesh');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'dpmesh');
  return join(homedir(), '.local', 'share', 'dpmesh');
}
