"""
Writes tables of every type of column, and with every codec, as pyarrow, polars and DuckDB write them, into the folder of its argument, and
prints what is in them: for each file the number of rows, and for each column the number of nulls and a checksum, of its numbers as
float64 (a null is nan) or of its texts. Needs these three packages.
"""

import datetime
import decimal
import hashlib
import json
import pathlib
import sys

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

ROWS = 1500
folder = pathlib.Path(sys.argv[1])
random = np.random.default_rng(5)
whole = random.integers(0, 100, ROWS)
words = [f'{"größer" if i % 3 else "tall, wide"} {i * i}' for i in whole]
lists = [[float(i), i / 4, float(-i)] for i in whole]
day = datetime.date(2026, 1, 2)

NUMBERS = {
    **{str(t): pa.array(whole, t) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(t): pa.array(whole, t) for t in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    'half': pa.array((whole / 4).astype('f2')),
    'float': pa.array(whole / 4, pa.float32()),
    'double': pa.array(whole / 7, pa.float64()),
    # Which no codec makes shorter.
    'random': pa.array(random.normal(size=ROWS)),
    'negative': pa.array(-whole, pa.int64()),
    'bool': pa.array(whole % 2 == 0),
    'decimal': pa.array([decimal.Decimal(int(i)) / 4 for i in whole], pa.decimal128(9, 2)),
    'decimal256': pa.array([decimal.Decimal(-int(i)) / 4 for i in whole], pa.decimal256(50, 2)),
}
TEXTS = {
    'string': pa.array(words),
    'large string': pa.array(words, pa.large_string()),
    'view': pa.array(words, pa.string_view()),
    'dictionary': pa.array(words).dictionary_encode(),
}
LISTS = {
    'list': pa.array(lists, pa.list_(pa.float64())),
    'large list': pa.array(lists, pa.large_list(pa.float32())),
    'fixed list': pa.array(lists, pa.list_(pa.float32(), 3)),
    'list of int64': pa.array([[int(x) for x in row] for row in lists], pa.list_(pa.int64())),
}
OTHERS = {
    'date': pa.array([day] * ROWS),
    'time': pa.array([datetime.time(1, 2)] * ROWS),
    'timestamp': pa.array([datetime.datetime(2026, 1, 2)] * ROWS),
    'binary': pa.array([b'x'] * ROWS),
}


# Codecs see bytes, whatever their type: these are long and short, that can be compressed and not.
EVERY_CODEC = ('int8', 'random', 'bool', 'string', 'dictionary', 'list')


def with_nulls(array):
    mask = pa.array(random.random(ROWS) < 0.2)
    if not pa.types.is_dictionary(array.type):
        return pa.array([None if m else v for m, v in zip(mask.to_pylist(), array.to_pylist())], array.type)
    return with_nulls(array.cast(array.type.value_type)).dictionary_encode()


def told(column):
    """What the column has, by pyarrow."""
    values = column.to_pylist()
    kind = type(next((v for v in values if v is not None), None))
    if kind is str:
        data = json.dumps(values, ensure_ascii=False, separators=(',', ':')).encode()
    elif kind is list:
        data = np.array([[np.nan] * 3 if v is None else v for v in values], 'f8').tobytes()
    elif kind in (int, float, bool, decimal.Decimal):
        data = np.array([np.nan if v is None else float(v) for v in values], 'f8').tobytes()
    else:
        data = b''
    return {'nulls': column.null_count, 'sha256': hashlib.sha256(data).hexdigest() if data else None}


out = {}


def keep(name, write):
    path = folder / name
    try:
        write(path)
    except (Exception, pl.exceptions.PanicException) as error:  # This writer has no such type.
        print(f'{name}: {error}'.split('\n')[0], file=sys.stderr)
        path.unlink(missing_ok=True)
        return
    out[name] = expected


for type_name, array in {**NUMBERS, **TEXTS, **LISTS, **OTHERS}.items():
    table = pa.table({'n': pa.array(whole, pa.int16()), 'x': array, 'nulls': with_nulls(array)})
    expected = {'rows': ROWS, 'columns': {c: told(table[c]) for c in table.column_names}}
    for codec in ('uncompressed', 'lz4', 'zstd') if type_name in EVERY_CODEC else ('zstd',):
        # In several batches, the last of them short.
        keep(f'{type_name}-{codec}-pyarrow.feather', lambda p: feather.write_feather(table, p, codec, chunksize=700))
        for age in ('newest', 'oldest'):
            level = getattr(pl.CompatLevel, age)()
            keep(f'{type_name}-{codec}-polars-{age}.arrow',
                 lambda p: pl.from_arrow(table).write_ipc(p, compression=codec, compat_level=level))
    for codec in ('uncompressed', 'snappy', 'gzip', 'brotli', 'lz4', 'zstd') if type_name in EVERY_CODEC else ('snappy',):
        for version in ('1.0', '2.0'):
            keep(f'{type_name}-{codec}-pyarrow-{version}.parquet',
                 lambda p: pq.write_table(table, p, compression='none' if codec == 'uncompressed' else codec,
                                          row_group_size=700, data_page_size=1000, data_page_version=version, write_page_checksum=True))
        keep(f'{type_name}-{codec}-polars.parquet', lambda p: pl.from_arrow(table).write_parquet(p, compression=codec))
        keep(f'{type_name}-{codec}-duckdb.parquet',
             lambda p: duckdb.from_arrow(table).write_parquet(str(p), compression=codec))
print(json.dumps(out))
