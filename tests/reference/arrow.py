"""Writes arrow.parquet, a file as pandas, R and Spark write it: with Arrow.

Arrow is 170 MB and not needed to read such a file, so the tests keep the file and not the library.
Run with pyarrow installed: python tests/reference/arrow.py
"""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TABLE = {
    "patient_id": pa.array(["P1", "P2", "病人3"]),
    "age": pa.array([61, None, 70], pa.int32()),
    "sex": pa.array(["F", "M", None]).dictionary_encode(),
    "cart_product": pa.array(["=cmd()", None, "axi-cel"], pa.large_string()),
    "bulky": pa.array([True, None, False]),
    "infusion_date": pa.array([dt.date(2023, 1, 10), None, dt.date(2023, 5, 6)]),
    "relapse_month": pa.array([2.5, 3.0, 4.1], pa.float32()),
    "os_month": pa.array([7.1, 9.0, 12.25]),
    "died": pa.array([1, 0, 1], pa.int8()),
}

if __name__ == "__main__":
    pq.write_table(pa.table(TABLE), Path(__file__).with_suffix(".parquet"))
