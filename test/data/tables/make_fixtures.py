"""Writes fixtures.json: small tables as pandas, pyarrow and zstandard write them, in base64. Needs those three packages."""

import base64
import json
import pathlib
import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import zstandard

ROWS = [[0.5, 1.25, -3.0], [2.0, -0.125, 1e10], [3.0, 7.0, 9.0], [-1.5, 0.1, 0.0]]
frame = pd.DataFrame(np.array(ROWS, 'f4'), columns=['a', 'b', 'c'])
folder = pathlib.Path(tempfile.mkdtemp())
out = {}


def keep(name, write):
    path = folder / name
    write(path)
    out[name] = base64.b64encode(path.read_bytes()).decode()


def table(**columns):
    return pa.table(columns)


keep('wide.parquet', lambda p: frame.to_parquet(p, row_group_size=2))
keep('double.parquet', lambda p: frame.astype('f8').to_parquet(p, compression='zstd'))
keep('half.parquet', lambda p: pq.write_table(table(a=pa.array([np.float16(1.5), np.float16(-2)])), p))
keep('index.parquet', lambda p: frame.set_index(pd.Index([4, 5, 6, 7], name='key')).to_parquet(p))
keep('wide.feather', lambda p: frame.to_feather(p))
keep('zstd.feather', lambda p: frame.to_feather(p, compression='zstd'))
keep('plain.feather', lambda p: frame.to_feather(p, compression='uncompressed'))
for format, write in (('parquet', pq.write_table), ('feather', lambda t, p: feather.write_feather(t, p))):
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(np.array(ROWS, 'f4').ravel()), 3)
    names = ['first', 'second "2"', "it's", 'ü\n']
    keep(f'fixed.{format}', lambda p: write(table(id=names, embedding=fixed, label=[1, 0, 1, 1]), p))
    keep(f'variable.{format}', lambda p: write(table(e=pa.array(ROWS, pa.list_(pa.float64()))), p))
    keep(f'lengths.{format}', lambda p: write(table(e=pa.array([[1.0, 2.0], [3.0]])), p))
    keep(f'null-inside.{format}', lambda p: write(table(e=pa.array([[1.0, 2.0], [3.0, None]])), p))
    keep(f'null-list.{format}', lambda p: write(table(e=pa.array([[1.0, 2.0], None])), p))
    keep(f'nested.{format}', lambda p: write(table(a=[1.0, 2.0], s=[{'x': 1}, {'x': 2}]), p))
    keep(f'wide-int.{format}', lambda p: write(table(a=pa.array([1, 2**53 + 1])), p))
    keep(f'null.{format}', lambda p: write(table(a=pa.array([1.0, None, 3.0, 8.0]), b=[1, 2, 3, 4]), p))
    keep(f'infinite.{format}', lambda p: write(table(a=[1.0, float('inf')]), p))
    keep(f'types.{format}', lambda p: write(table(
        i=pa.array([1, 2], pa.int8()), u=pa.array([3, 4], pa.uint16()), b=[True, False], d=pa.array([5, 6], pa.int64()),
    ), p))
    keep(f'date.{format}', lambda p: write(table(a=[1.0, 2.0], when=pd.to_datetime(['2026-01-01', '2026-01-02'])), p))
    keep(f'category.{format}', lambda p: write(table(
        a=[1.0, 2.0, 3.0], colour=pa.array(['red', 'blue', 'red']).dictionary_encode(),
    ), p))
    keep(f'empty.{format}', lambda p: write(table(a=pa.array([], pa.float64())), p))
keep('x.csv.gz', lambda p: frame.to_csv(p, index=False))
keep('x.csv.zst', lambda p: frame.to_csv(p, index=False))
keep('indexed.csv', lambda p: frame.to_csv(p))
keep('x.jsonl', lambda p: frame.to_json(p, orient='records', lines=True))
keep('x.jsonl.gz', lambda p: frame.to_json(p, orient='records', lines=True))
keep('x.json', lambda p: frame.to_json(p, orient='records'))
keep('lists.jsonl', lambda p: p.write_text('\n'.join(json.dumps({'e': row, 'text': 'x'}) for row in ROWS)))
# With the checksums that their formats may have, for flips of bits.
long = pd.DataFrame(np.random.default_rng(1).integers(0, 50, (150, 3)), columns=['a', 'b', 'c'])
keep('checked.parquet', lambda p: long.to_parquet(p, write_page_checksum=True, row_group_size=100))
keep('checked.csv.zst', lambda p: p.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(long.to_csv(index=False).encode())))
lines = long.to_json(orient='records', lines=True).encode()
keep('checked.jsonl.zst', lambda p: p.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(lines)))

here = pathlib.Path(__file__).parent
(here / 'fixtures.json').write_text(json.dumps(out, indent=0) + '\n')
print({name: len(text) for name, text in out.items()})
