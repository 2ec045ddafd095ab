"""Builds the distribution ``bronze-copier``.

The XDR reader is plain Python that Cython compiles unchanged. A machine without a C compiler can install it
too: the reader is then interpreted, and the program warns of it once.
"""

import importlib.util
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist
from setuptools.errors import BaseError, CCompilerError

try:
    from Cython.Build import cythonize
except ImportError:  # an install without build isolation and without Cython: interpreted reader
    cythonize = None

ROOT = Path(__file__).resolve().parent
BUILD_MODULE = Path("bronze", "_build.py")


def load_producer():
    """The module that knows version and commit; it needs nothing but the standard library."""
    spec = importlib.util.spec_from_file_location("bronze_producer", ROOT / "bronze" / "producer.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


PRODUCER = load_producer()


def write_commit(directory):
    """Write the commit of this tree into the copy of the package below `directory`, where it is known."""
    commit = PRODUCER.source_commit(ROOT)
    if commit != "unknown":  # a source distribution has the file already
        text = f'"""Written by setup.py."""\n\nGIT_SHA = "{commit}"\n'
        Path(directory, BUILD_MODULE).write_text(text, encoding="utf-8")


class BuildModules(build_py):
    """Writes the commit into what is built; an editable install reads it from the repository instead."""

    def run(self):
        """Copy the modules, and write the commit."""
        super().run()
        if not self.editable_mode:
            write_commit(self.build_lib)


class SourceDistribution(sdist):
    """Writes the commit into the source distribution."""

    def make_release_tree(self, base_dir, files):
        """Copy the files, and write the commit."""
        super().make_release_tree(base_dir, files)
        write_commit(base_dir)


READER = Extension("bronze.xdr.walker", ["bronze/xdr/walker.py"], extra_compile_args=["-O3"])


class BuildReader(build_ext):
    """Continues without the compiled reader where it cannot be built (cythonize drops an extension's `optional`)."""

    def build_extension(self, extension):
        """Build one extension, or warn that it is not compiled."""
        try:
            super().build_extension(extension)
        except (BaseError, CCompilerError, OSError) as error:
            self.warn(f"{extension.name} is not compiled, the XDR reader will be interpreted: {error}")


setup(
    name="bronze-copier",
    version=PRODUCER.VERSION,
    description="Copies raw Stellar ledgers from Galexie lakes into verified, immutable parquet partitions",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["bronze", "bronze.*", "transforms", "transforms.*", "pipeline", "pipeline.*"]),
    package_data={"bronze.catalog": ["*.sql"], "pipeline.report": ["*.j2"]},
    ext_modules=cythonize([READER], language_level=3, build_dir="build/cython") if cythonize else [],
    cmdclass={"build_ext": BuildReader, "build_py": BuildModules, "sdist": SourceDistribution},
    entry_points={
        "console_scripts": ["bronze-copier = pipeline.main:main", "bronze-copier-worker = pipeline.beam_worker:main"]
    },
    install_requires=[
        # The local runner is built from internals that another version may move (pipeline/launch/local_runner.py).
        "apache-beam[gcp,aws]>=2.77,<2.78",
        # Its writer decides the bytes of every partition: another version gives other checksums.
        "pyarrow==25.0.1",
        # Its libsodium decides which Ed25519 signatures hold: the rules are stellar-core's, other libraries' edge cases
        # differ (bronze/authenticity/value_signature.py).
        "pynacl==1.6.2",
        # The XDR table is compiled from its docstrings (tools/compile_xdr_table.py).
        "stellar-sdk>=16.1,<17",
        # Decodes every lake object; its behaviour on damaged frames is relied on (bronze/lake/zstd_frame.py).
        "zstandard>=0.25,<0.26",
        # The conditions and retries that it sends decide what a lost response can do (bronze/storage/object_store).
        "obstore>=0.12.1,<0.13",
        "botocore>=1.42",  # the credentials of the environment
        "boto3>=1.42",  # requests to S3 that obstore lacks: checksums, multipart uploads in progress
        "awscrt>=0.30,<1",  # CRC-64/NVME and CRC-32C, the checksums that object stores state
        "click>=8.2,<9",  # the command line: options, help, completion
        "grpcio>=1.70,<2",  # asks a runner for the options of a pipeline (pipeline/beam_worker.py)
        "jinja2>=3.1,<4",  # the page of `report`: escapes what others wrote
        "markupsafe>=3,<4",  # says what of it is escaped
        "psycopg2-binary>=2.9.10,<3",
        "google-cloud-logging>=3.12,<4",
        "google-cloud-secret-manager>=2.24,<3",  # secrets that settings name; Beam brings it anyway
        "prometheus-client>=0.22,<1",
        "pydantic>=2.11,<3",
        "PyYAML>=6,<7",
        "requests>=2.32,<3",
        "rich>=14,<16",
        "urllib3>=2.2,<3",  # below requests; its errors and its pool are used directly
    ],
    extras_require={
        "test": [
            "pytest>=8.4,<10",
            "pytest-timeout>=2.4,<3",
            "pytest-xdist>=3.6,<4",
            "hypothesis>=6.130,<7",
            "moto[server,s3]>=5.2.5,<6",  # the S3 server of the tests where Go is not installed to build a better one
            "duckdb>=1.3",
            "kubernetes-validate>=1.33",  # the schemas of Kubernetes, for templates/kubernetes
            "polars>=2,<3",
            "pip>=25",
        ],
        "check": [
            "ruff>=0.12",
            "mypy>=1.16",
            "types-PyYAML",
            "types-psycopg2",
            "types-requests",
            "py-spy>=0.4",
            "Cython>=3.1,<4",
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
