"""The PostgreSQL catalog: datasets, lineage and quality of published partitions, and the locks of chains.

Begin at `bronze.catalog.catalog.Catalog`; it and the modules below it load the PostgreSQL driver, so they are not
imported here. What a commit does when the catalog cannot be reached is decided in `bronze.commit`, not here.
"""

from bronze.catalog.lineage import Lineage, LineageContext, RecordedPartition

__all__ = ["Lineage", "LineageContext", "RecordedPartition"]
