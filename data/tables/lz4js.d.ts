declare module 'lz4js' {
  /** Unpacks a frame. */
  export function decompress(frame: Uint8Array): Uint8Array;
}
