/** A stored value, or null. Where storage is denied, the mere access to the property throws. */
export function readSetting(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Stores a value; null or an empty string removes it. */
export function saveSetting(key: string, value: string | null): void {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // Without storage the value lasts until the page is closed.
  }
}
