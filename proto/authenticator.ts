import type { AllowList } from './keys.ts';

/** Why a connection came to nothing, as near as ZeroMQ tells. */
export const REJECTION_REASONS = {
  'unknown-key': '',
  'no-key': 'no key (worker --key FILE)',
  'wrong-server-key': 'keys of another coordinator, or no pair',
  'broken-off': 'left, or silent, before its handshake was over',
  'not-zeromq': 'does not speak ZeroMQ',
} as const;
export type RejectionReason = keyof typeof REJECTION_REASONS;

/** Unknown keys that are named in the log; more are only counted. */
const NAMED = 100;

/** The door of a coordinator: its secret key, whose keys it opens to, and who stayed outside. */
export interface Authenticator {
  readonly secret: string;
  /** The name of the worker with this public key, or null: counted, and logged once. */
  admit(key: string, address: string): string | null;
  /** A connection ended before it showed a key. Logged when there have been 1, 10, 100, … of its kind. */
  failed(reason: Exclude<RejectionReason, 'unknown-key'>): void;
  /** Another list from now on; says whether a key of the old one is gone. */
  replace(allowed: AllowList): boolean;
  /** Connections refused since the start. */
  refused(): Record<RejectionReason, number>;
}

/** However many knock: memory and log stay small. */
export function createAuthenticator(
  secret: string,
  allowed: AllowList,
  log: (line: string) => void,
): Authenticator {
  const counts = Object.fromEntries(Object.keys(REJECTION_REASONS).map((reason) => [reason, 0])) as Record<
    RejectionReason,
    number
  >;
  const named = new Set<string>();
  return {
    secret,
    admit(key, address) {
      const name = allowed.get(key);
      if (name !== undefined) return name;
      counts['unknown-key']++;
      if (named.has(key) || named.size > NAMED) return null;
      named.add(key);
      if (named.size > NAMED) log(`refused ${NAMED} unknown keys: further ones are counted, not named`);
      else log(`refused a worker at ${address}: its key ${key.slice(0, 8)}… is not on the list`);
      return null;
    },
    failed(reason) {
      const count = ++counts[reason];
      if (/^10*$/.test(String(count)))
        log(`refused ${count === 1 ? 'a connection' : `${count} connections`}: ${REJECTION_REASONS[reason]}`);
    },
    replace(next) {
      const gone = [...allowed.keys()].some((key) => !next.has(key));
      allowed = next;
      return gone;
    },
    refused: () => ({ ...counts }),
  };
}
