/** The backends that compute, the first of which needs nothing to be set up. */
export const BACKENDS = ['wasm', 'cpu', 'tensorflow', 'webgpu'] as const;

/** The name of the backend in a numeric identity, such as `wasm` in `wasm/4.22.0/steps1`. */
export const backendOfIdentity = (identity: string): string => identity.split('/')[0];
