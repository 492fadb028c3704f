// A process that knocks at a coordinator's door until it is ended: crowd.ts ADDRESS SEED SERVER_KEY. Says each half second how
// often it has. At a steady rate, so that it is the coordinator that is measured, not who gets the processor.
import { connect } from 'node:net';
import { generator } from '../../model/random.ts';
import { newKeyPair } from '../../proto/keys.ts';
import { connectDealer, type DealerOptions } from '../../proto/sockets.ts';

const IDLE = 200;
const EVERY_MS = 50;
const [address, seed, server] = process.argv.slice(2);
const port = Number(address.split(':').at(-1));
const rng = generator(BigInt(seed), 'crowd');
const knocks = { idle: 0, plain: 0, noKey: 0, unknownKey: 0, wrongServer: 0 };
let answers = 0;

const tcp = () =>
  connect(port, '127.0.0.1')
    .on('error', () => {})
    .resume();

/** Opened, and opened again whenever it is closed. */
function idle(): void {
  knocks.idle++;
  tcp().once('close', () => setTimeout(idle, 100));
}

function plain(): void {
  knocks.plain++;
  const bytes = Buffer.from(Array.from({ length: 1 + rng.below(300) }, () => rng.below(256)));
  const socket = tcp();
  socket.write(rng.below(2) ? 'GET / HTTP/1.1\r\n\r\n' : bytes);
  setTimeout(() => socket.destroy(), rng.below(500));
}

/** A ZeroMQ peer for a second. */
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
    knocks.noKey++;
    dealer({});
  },
  () => {
    knocks.unknownKey++;
    dealer({ key: { ...newKeyPair(), server } });
  },
  () => {
    knocks.wrongServer++;
    dealer({ key: { ...newKeyPair(), server: newKeyPair().public } });
  },
];
for (let i = 0; i < IDLE; i++) idle();
const begun = performance.now();
let done = 0;
setInterval(() => {
  // Where it had to wait for the processor it makes up for it.
  for (const due = (performance.now() - begun) / EVERY_MS; done < due; done++)
    kinds[rng.below(kinds.length)]();
}, EVERY_MS);
setInterval(() => {
  const seconds = (performance.now() - begun) / 1000;
  console.log(JSON.stringify({ ...knocks, answers, seconds }));
}, 500);
