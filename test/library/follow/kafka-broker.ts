// A broker with one topic, as far as a reader of it asks: no real one, and made with the formats of @platformatic/kafka.
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRecordsBatch, Reader, Writer } from '@platformatic/kafka';

const [FETCH, LIST_OFFSETS, METADATA, API_VERSIONS] = [1, 2, 3, 18];
const VERSIONS = [
  [FETCH, 17],
  [LIST_OFFSETS, 9],
  [METADATA, 12],
  [API_VERSIONS, 3],
];
const ID = '11111111-2222-4333-8444-555555555555';
const NO_ID = '00000000-0000-0000-0000-000000000000';
const [OUT_OF_RANGE, UNKNOWN_TOPIC] = [1, 3];
/** Messages of a batch, which is sent whole; and batches of an answer. */
const [BATCH, BATCHES] = [16, 8];

export interface Partition {
  /** Offset of the first message that is still there. */
  first: number;
  messages: (string | null)[];
}

export type Broker = Awaited<ReturnType<typeof startBroker>>;

/** Starts the broker. Partitions may be changed at any time. `at`: its port. */
export async function startBroker(topic: string, partitions: Partition[], at = 0) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (
        ;
        rest.length >= 4 && rest.length >= 4 + rest.readInt32BE();
        rest = rest.subarray(4 + rest.readInt32BE())
      )
        void answer(Reader.from(rest.subarray(4, 4 + rest.readInt32BE())), socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const end = ({ messages }: Partition) => messages.length;
  let fetches = 0;

  async function answer(request: Reader, socket: Socket) {
    const [api, , correlation] = [request.readInt16(), request.readInt16(), request.readInt32()];
    request.readString(false);
    request.readTaggedFields();
    const to = Writer.create().appendInt32(correlation);
    if (api !== API_VERSIONS) to.appendTaggedFields();
    if (api === API_VERSIONS)
      to.appendInt16(0)
        .appendArray(VERSIONS, (w, [key, version]) =>
          w
            .appendInt16(key)
            .appendInt16(key === API_VERSIONS ? 0 : version)
            .appendInt16(version),
        )
        .appendInt32(0);
    if (api === METADATA) metadata(request, to);
    if (api === LIST_OFFSETS) listOffsets(request, to);
    if (api === FETCH) await fetch(request, to);
    to.appendTaggedFields().prependLength();
    socket.write(to.buffer);
  }

  function metadata(request: Reader, to: Writer) {
    const names = request.readArray((r) => [r.readUUID(), r.readString()][1]);
    const broker = (w: Writer) =>
      w.appendInt32(7).appendString('127.0.0.1').appendInt32(port).appendString(null);
    to.appendInt32(0).appendArray([7], broker).appendString('cluster').appendInt32(7);
    to.appendArray(names, (w, name) => {
      const isOurs = name === topic;
      w.appendInt16(isOurs ? 0 : UNKNOWN_TOPIC)
        .appendString(name)
        .appendUUID(isOurs ? ID : NO_ID);
      w.appendBoolean(false).appendArray(isOurs ? [...partitions.keys()] : [], (own, partition) => {
        own.appendInt16(0).appendInt32(partition).appendInt32(7).appendInt32(0);
        for (const nodes of [[7], [7], []])
          own.appendArray(nodes, (list, node) => list.appendInt32(node), true, false);
      });
      w.appendInt32(0);
    });
  }

  function listOffsets(request: Reader, to: Writer) {
    request.skip(5);
    const asked = request.readArray((r) => {
      const name = r.readString();
      return {
        name,
        own: r.readArray((p) => ({ partition: p.readInt32(), time: [p.readInt32(), p.readInt64()][1] })),
      };
    });
    to.appendInt32(0).appendArray(asked, (w, { name, own }) =>
      w.appendString(name).appendArray(own, (o, { partition, time }) => {
        const offset = time === -2n ? partitions[partition].first : end(partitions[partition]);
        o.appendInt32(partition).appendInt16(0).appendInt64(-1n).appendInt64(BigInt(offset)).appendInt32(0);
      }),
    );
  }

  async function fetch(request: Reader, to: Writer) {
    fetches++;
    request.skip(21);
    const [asked] = request.readArray((r) => {
      r.readUUID();
      return r.readArray((p) => {
        const [partition, , offset] = [p.readInt32(), p.readInt32(), Number(p.readInt64())];
        p.skip(16);
        return { partition, offset };
      });
    });
    if (asked.every(({ partition, offset }) => offset === end(partitions[partition]))) await sleep(50);
    to.appendInt32(0).appendInt16(0).appendInt32(0);
    to.appendArray([asked], (w, own) => {
      w.appendUUID(ID).appendArray(own, (o, { partition, offset }) => {
        const { first } = partitions[partition];
        const last = BigInt(end(partitions[partition]));
        const isGone = offset < first || offset > last;
        o.appendInt32(partition)
          .appendInt16(isGone ? OUT_OF_RANGE : 0)
          .appendInt64(last)
          .appendInt64(last);
        o.appendInt64(BigInt(first))
          .appendArray([], () => {})
          .appendInt32(-1);
        const records = isGone ? Buffer.alloc(0) : batchesFrom(partitions[partition], offset);
        o.appendUnsignedVarInt(records.length + 1).append(records);
      });
    });
  }

  function batchesFrom({ messages }: Partition, offset: number): Buffer {
    const from = offset - (offset % BATCH);
    const begins = [...Array(BATCHES).keys()]
      .map((i) => from + i * BATCH)
      .filter((at) => at < messages.length);
    if (offset === messages.length) return Buffer.alloc(0);
    return Buffer.concat(
      begins.map((begin) => {
        const values = messages.slice(begin, begin + BATCH);
        const { buffer } = createRecordsBatch(
          values.map((value) => ({ topic, value: (value === null ? null : Buffer.from(value)) as Buffer })),
        );
        buffer.writeBigInt64BE(BigInt(begin));
        return buffer;
      }),
    );
  }

  return {
    port,
    address: `kafka://127.0.0.1:${port}/${topic}`,
    fetches: () => fetches,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise<unknown>((resolve) => server.close(resolve));
    },
  };
}
