import { hostname } from 'node:os';
import { newKeyPair } from '../../proto/keys.ts';
import type { CoordinatorAddress, RelayPlace } from '../connection.ts';
import type { Coordinator } from '../process.ts';
import { type Hooks, type RestartPatience, supervise } from './supervisor.ts';

export type OwnRelay = ReturnType<typeof startOwnRelay>;

/**
 * Starts a relay for the workers of this process, and starts it again, at the same address, when it ends before the run. Its workers
 * go on with the coordinator when it does not come again.
 */
export function startOwnRelay(
  places: readonly CoordinatorAddress[],
  { reconnectFor, giveUpAfter }: RestartPatience,
  hooks: Hooks,
) {
  // Told to nobody but these processes, by their pipes: other users of the machine stay out.
  const [own, workers] = [newKeyPair(), newKeyPair()];
  const told: RelayPlace = {
    places,
    bind: 'tcp://127.0.0.1:*',
    keys: { secret: own.secret, allowed: [[workers.public, 'local']] },
  };
  let reveal: (place: Coordinator) => void;
  const place = new Promise<Coordinator>((resolve) => {
    reveal = resolve;
  });
  const { stop } = supervise(
    [{ name: `${hostname()}/relay` }],
    told,
    { reconnectFor, giveUpAfter },
    {
      ...hooks,
      said(name, line) {
        const address = /^relay: listening on (\S+),/.exec(line)?.[1];
        if (address) {
          told.bind = address;
          reveal({ places: [{ connect: address, key: { ...workers, server: own.public } }, ...places] });
        }
        hooks.said(name, line);
      },
      gaveUp(name, error) {
        hooks.gaveUp(name, error);
        reveal({ places });
      },
    },
    'relay',
  );
  return {
    /** Where workers connect to: the relay, once it listens, then the coordinator. */
    place,
    stop,
  };
}
