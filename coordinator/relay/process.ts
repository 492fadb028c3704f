import { createInterface } from 'node:readline';
import { inspect } from 'node:util';
import { indentContinuation } from '../../base/text.ts';
import { UserError } from '../../base/user-error.ts';
import { createAuthenticator } from '../../proto/authenticator.ts';
import { TASKS } from '../../tasks/table.ts';
import { addressesOf, type RelayPlace } from '../../worker/connection.ts';
import { exitCodeOf } from '../../worker/trouble.ts';
import { startRelay } from './relay.ts';

/** The relay of a `launch`: told like a worker (worker/process.ts), and ends with it. */

const HEARTBEAT_TIMEOUT_MS = 5000;

interface RelayArguments {
  name: string;
  /** Seconds, as of a worker. */
  reconnectFor: number;
  giveUpAfter: number | null;
}

const { name, reconnectFor, giveUpAfter }: RelayArguments = JSON.parse(process.argv[2]);
const log = (line: string) => console.error(indentContinuation(`relay: ${line}`));

async function serve({ places, bind, keys }: RelayPlace): Promise<void> {
  const { address, done } = await startRelay({
    ...{ tasks: TASKS, name, places, bind, log, heartbeatTimeout: HEARTBEAT_TIMEOUT_MS },
    reconnectFor: 1000 * reconnectFor,
    giveUpAfter: 1000 * (giveUpAfter ?? Number.POSITIVE_INFINITY),
    authenticator: createAuthenticator(keys.secret, new Map(keys.allowed), log),
  });
  log(`listening on ${address}, for the coordinator at ${addressesOf(places)}`);
  await done;
}

function failed(error: unknown): void {
  log(error instanceof UserError ? `error: ${error.message}` : inspect(error));
  process.exit(exitCodeOf(error));
}

// They may go to all processes of a launch, whose workers need it until they have left.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
createInterface(process.stdin)
  .once('line', (line) => void serve(JSON.parse(line)).then(() => process.exit(0), failed))
  // The pipe closes when `launch` ends, however it ends.
  .once('close', () => process.exit(0));
