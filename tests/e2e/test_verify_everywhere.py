"""A good destination verifies without a finding on disk, S3 and GCS; many ledgers: `tests.e2e.verify_everywhere`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_object_stores import Cloud
from tests.e2e.verify_everywhere import LEVELS, verify_everywhere
from tests.support.gcs_server import gcs_bucket, gcs_server
from tests.support.s3_server import S3Server, s3_bucket, s3_server

__all__ = ["gcs_bucket", "gcs_server", "s3_bucket", "s3_server"]


@pytest.mark.timeout(300)
def test_good_destination_has_no_finding_anywhere(
    tmp_path: Path, s3_bucket: str, s3_server: S3Server, gcs_bucket: str
) -> None:
    clouds = [Cloud("s3", s3_bucket, s3_server.url), Cloud("gs", gcs_bucket)]
    found = list(verify_everywhere(tmp_path, 120, 50, clouds))
    assert [(one.place, one.level) for one in found] == [
        (place, level) for place in ("disk", "s3", "gs") for level in LEVELS
    ]
    assert [(one.place, one.level, one.problems) for one in found if one.problems] == []
