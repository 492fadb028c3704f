// hostile-peers.ts ADDRESS SEED SERVER_KEY: attempts to connect to a coordinator without a valid key until it is killed.
// Prints its counts every half second. The rate is fixed, so that the load does not depend on CPU scheduling.
import { connect } from 'node:net';
import { generator } from '../../model/random.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { connectDealer, type DealerOptions } from '../../proto/sockets.ts';

const IDLE_CONNECTIONS = 200;
const EVERY_MS = 50;
const [address, seed, server] = process.argv.slice(2);
const port = Number(address.split(':').at(-1));
const rng = generator(BigInt(seed), 'crowd');
const attempts = { idle: 0, plain: 0, noKey: 0, unknownKey: 0, wrongServer: 0 };
let answers = 0;

const tcp = () =>
  connect(port, '127.0.0.1')
    .on('error', () => {})
    .resume();

/** A connection that is opened again whenever it is closed. */
function idle(): void {
  attempts.idle++;
  tcp().once('close', () => setTimeout(idle, 100));
}

function plain(): void {
  attempts.plain++;
  const bytes = Buffer.from(Array.from({ length: 1 + rng.below(300) }, () => rng.below(256)));
  const socket = tcp();
  socket.write(rng.below(2) ? 'GET / HTTP/1.1\r\n\r\n' : bytes);
  setTimeout(() => socket.destroy(), rng.below(500));
}

/** A ZeroMQ peer that connects for one second. */
function dealer(options: DealerOptions): void {
  const socket = connectDealer(address, () => void answers++, options);
  void socket.send([Buffer.from([0x80])]);
  setTimeout(() => socket.close(), 1000);
}

const kinds = [
  plain,
  plain,
  plain,
  () => {
    attempts.noKey++;
    dealer({});
  },
  () => {
    attempts.unknownKey++;
    dealer({ key: { ...newKeyPair(), server } });
  },
  () => {
    attempts.wrongServer++;
    dealer({ key: { ...newKeyPair(), server: newKeyPair().public } });
  },
];
for (let i = 0; i < IDLE_CONNECTIONS; i++) idle();
const begun = performance.now();
let done = 0;
setInterval(() => {
  // Catches up if it had to wait for the CPU.
  for (const due = (performance.now() - begun) / EVERY_MS; done < due; done++)
    kinds[rng.below(kinds.length)]();
}, EVERY_MS);
setInterval(() => {
  const seconds = (performance.now() - begun) / 1000;
  console.log(JSON.stringify({ ...attempts, answers, seconds }));
}, 500);
