// Output of nvidia-smi on several hosts, in the formats that NVIDIA documents, and a fake nvidia-smi that prints it.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Host {
  /** --query-gpu=index,name,uuid,memory.total,driver_version --format=csv,noheader,nounits */
  table: string;
  /** The index, the memory that is used, and all of it. */
  memory?: string;
  /** -L */
  list: string;
  /** Without arguments: the human-readable table. */
  summary?: string;
  code?: number;
}

export const uuidOf = (index: number) => `GPU-${String(index).repeat(8)}-aaaa-bbbb-cccc-0123456789ab`;
const H100 = 'NVIDIA H100 80GB HBM3';
const A100 = 'NVIDIA A100-SXM4-40GB';
const indices = [0, 1, 2, 3, 4, 5, 6, 7];

export const EIGHT: Host = {
  table: indices.map((i) => `${i}, ${H100}, ${uuidOf(i)}, 81559, 550.54.15\n`).join(''),
  memory: indices.map((i) => `${i}, ${i ? 4 : 1023}, 81559\n`).join(''),
  list: indices.map((i) => `GPU ${i}: ${H100} (UUID: ${uuidOf(i)})\n`).join(''),
};

export const SLICES = [
  'MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f',
  'MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb',
  'MIG-1e099852-3624-56c0-8064-c5db1211e44f',
];
/** A GPU with three MIG instances, and one without MIG. */
export const MIG: Host = {
  table: `0, ${A100}, ${uuidOf(0)}, 40960, 535.161.08\n1, ${A100}, ${uuidOf(1)}, 40960, 535.161.08\n`,
  memory: '0, [N/A], 40960\n1, 4, 40960\n',
  list: [
    `GPU 0: ${A100} (UUID: ${uuidOf(0)})`,
    `  MIG 3g.20gb     Device  0: (UUID: ${SLICES[0]})`,
    `  MIG 2g.10gb     Device  1: (UUID: ${SLICES[1]})`,
    `  MIG 1g.5gb+me   Device  2: (UUID: ${SLICES[2]})`,
    `GPU 1: ${A100} (UUID: ${uuidOf(1)})\n`,
  ].join('\n'),
  summary: `+-----------------------------------------+----------------------+----------------------+
|   0  NVIDIA A100-SXM4-40GB          On  | 00000000:07:00.0 Off |                   On |
| N/A   33C    P0              57W / 400W |  24208MiB / 40960MiB |     N/A      Default |
+-----------------------------------------+----------------------+----------------------+
| MIG devices:                                                                          |
+------------------+--------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |                   Memory-Usage |        Vol|      Shared           |
|      ID  ID  Dev |                     BAR1-Usage | SM     Unc| CE ENC DEC OFA JPG    |
|==================+================================+===========+=======================|
|  0    2   0   0  |           14366MiB / 19968MiB  | 42      0 |  3   0    2    0    0 |
|                  |               4MiB / 32767MiB  |           |                       |
+------------------+--------------------------------+-----------+-----------------------+
|  0    3   0   1  |            9826MiB /  9856MiB  | 28      0 |  2   0    1    0    0 |
|                  |               2MiB / 16383MiB  |           |                       |
+------------------+--------------------------------+-----------+-----------------------+
|  0    9   0   2  |              13MiB /  4864MiB  | 14      0 |  1   0    0    1    1 |
|                  |               0MiB /  8191MiB  |           |                       |
+------------------+--------------------------------+-----------+-----------------------+
`,
};

const noDriver =
  "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n";
export const BROKEN: Host = { table: noDriver, list: noDriver, code: 9 };
const mismatch = 'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n';
export const MISMATCH: Host = { table: mismatch, list: mismatch, code: 18 };
export const NO_DEVICES: Host = { table: 'No devices were found\n', list: 'No devices found.\n', code: 6 };

/** Writes a fake nvidia-smi for this host into a folder. Returns a PATH with it. */
export function fakeNvidiaSmi(
  folder: string,
  { table, memory = table, list, summary = '', code = 0 }: Host,
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'table'), table);
  writeFileSync(join(folder, 'list'), list);
  writeFileSync(join(folder, 'summary'), summary);
  writeFileSync(join(folder, 'memory'), memory);
  const script = join(folder, 'nvidia-smi');
  writeFileSync(
    script,
    `#!/bin/sh
case "$1" in
  '') cat '${folder}/summary' ;;
  -L) cat '${folder}/list' ;;
  -i)
    [ "$3 $4" = '--query-gpu=memory.used,memory.total --format=csv,noheader,nounits' ] || exit 2
    sed -n "s/^$2, //p" '${folder}/memory' ;;
  --query-gpu=index,name,uuid,memory.total,driver_version)
    [ "$2" = --format=csv,noheader,nounits ] || exit 2
    cat '${folder}/table' ;;
  *) echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help." ; exit 2 ;;
esac
exit ${code}
`,
  );
  chmodSync(script, 0o755);
  return `${folder}:${process.env.PATH}`;
}
