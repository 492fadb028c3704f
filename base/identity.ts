/** The name of the backend in a numeric identity, such as `wasm` in `wasm/4.22.0/steps1`. */
export const backendOfIdentity = (identity: string): string => identity.split('/')[0];
