type BrowserStorage = 'localStorage' | 'sessionStorage';

/** A stored value, or null. Where storage is denied, the mere access to the property throws. */
export function readSetting(storage: BrowserStorage, key: string): string | null {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

/** Stores a value; null or an empty string removes it. */
export function saveSetting(storage: BrowserStorage, key: string, value: string | null): void {
  try {
    if (value) window[storage].setItem(key, value);
    else window[storage].removeItem(key);
  } catch {
    // Without storage the value lasts until the page is closed.
  }
}
