import { assertOpenFiles, COORDINATOR_FILES } from '../base/limits.ts';
import { indentContinuation } from '../base/text.ts';
import { defineCommand, numberFlag, switchFlag, textFlag } from './flags.ts';
import { onSignal, reportProblem } from './process.ts';
import { joinFlags, placesOf, secondsOf } from './workers.ts';

/** A relay between workers and their coordinator. */
export const relay = defineCommand({
  command: 'relay',
  describe: 'stand for many workers at a coordinator: one on each host or rack',
  builder: {
    connect: {
      ...joinFlags.connect,
      describe: joinFlags.connect.describe.replace('a relay', 'another relay'),
    },
    bind: textFlag('address for workers, tcp://HOST:PORT, * for any', { default: 'tcp://127.0.0.1:5556' }),
    key: { ...joinFlags.key, describe: joinFlags.key.describe.replace('this worker', 'this relay') },
    keys: textFlag('folder of keys for its workers, made by dpmesh keygen', { defaultDescription: 'none' }),
    insecure: switchFlag('bind to other machines without keys: anyone who can reach the port can join'),
    name: textFlag('name in logs, events and metrics', { default: 'relay' }),
    'reconnect-for': numberFlag('seconds without contact with the coordinator after which the relay exits', {
      default: 600,
    }),
    'heartbeat-timeout': numberFlag('seconds of silence after which a worker is given up', { default: 5 }),
  },
  examples: [
    ["relay --connect tcp://HOST:5555 --bind 'tcp://*:5556' --key rack1.key --keys rack1", 'for a rack'],
    ['launch --gpus all --connect tcp://127.0.0.1:5556', 'workers of a relay'],
  ],
  async handler({ connect, bind, key, keys, insecure, name, reconnectFor, heartbeatTimeout }) {
    const { cannotListen } = await import('../base/bind-problem.ts');
    const { checkedBind } = await import('../library/workers.ts');
    const { readServerKey, readAllowed } = await import('../proto/key-files.ts');
    const { createAuthenticator } = await import('../proto/authenticator.ts');
    const { startRelay } = await import('../relay/relay.ts');
    const { exitCodeOf } = await import('../worker/trouble.ts');
    const log = (line: string) => console.error(indentContinuation(`relay: ${line}`));
    assertOpenFiles(COORDINATOR_FILES, 'a relay');
    const places = await placesOf(connect, key);
    const started = await startRelay({
      ...{ places, name, log },
      reconnectFor: 1000 * secondsOf('--reconnect-for', reconnectFor),
      heartbeatTimeout: 1000 * secondsOf('--heartbeat-timeout', heartbeatTimeout),
      bind: checkedBind(bind, { keys, insecure }, (line) => log(`warning: ${line}`)),
      authenticator:
        keys === undefined
          ? undefined
          : createAuthenticator(readServerKey(keys).secret, readAllowed(keys), log),
    }).catch((error) => {
      throw cannotListen(bind, error);
    });
    log(`listening on ${started.address}, for the coordinator at ${connect}`);
    onSignal(() => started.leave());
    if (keys !== undefined) process.on('SIGHUP', () => started.rereadKeys(() => readAllowed(keys)));
    await started.done.catch((error) => {
      if (!reportProblem(error)) throw error;
      process.exitCode = exitCodeOf(error);
    });
  },
});
