import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const LONG = 0x02;
const MORE = 0x01;

/** A ZeroMQ peer (ZMTP 3.1, NULL) that sends messages but reads nothing after the handshake. */
export async function deaf(address: string): Promise<{ say(frames: Buffer[]): void; close(): void }> {
  const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1');
  socket.on('error', () => {});
  const greeting = Buffer.alloc(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
  greeting.write('NULL', 12);
  socket.write(greeting);
  await once(socket, 'data');
  await sleep(50);
  socket.pause();
  const ready = Buffer.from('\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0');
  socket.write(Buffer.concat([Buffer.of(0x04, ready.length), ready]));
  return {
    say(frames) {
      for (const [i, frame] of frames.entries()) {
        const head = Buffer.alloc(9);
        head[0] = LONG | (i < frames.length - 1 ? MORE : 0);
        head.writeBigUInt64BE(BigInt(frame.length), 1);
        socket.write(Buffer.concat([head, frame]));
      }
    },
    close: () => socket.destroy(),
  };
}
