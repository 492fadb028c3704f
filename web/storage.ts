type Place = 'localStorage' | 'sessionStorage';

/** What the page keeps in this browser. Where that is denied, the browser throws as soon as the place is named. */
export function recall(place: Place, key: string): string | null {
  try {
    return window[place].getItem(key);
  } catch {
    return null;
  }
}

/** Null: no longer. */
export function keep(place: Place, key: string, value: string | null): void {
  try {
    if (value) window[place].setItem(key, value);
    else window[place].removeItem(key);
  } catch {
    // A browser that keeps nothing: the value lasts until the page is closed.
  }
}
