"""Stores: objects under keys in a directory, in a bucket, or in memory; created, replaced and updated without races.

Begin at `Store` (the port, `bronze.storage.store`), `StorageLocation` (where a store is, as data) and `open_store`.
What objects mean (lakes, partitions, events) is decided in the rooms above, not here. Object stores
(`bronze.storage.object_store`) load the client's libraries, so they are imported only by opening one.
"""

from bronze.storage.json_object import load_json_object, read_json_object, unusable_object_error
from bronze.storage.local import LocalStore
from bronze.storage.location import StorageLocation
from bronze.storage.memory import MemoryStore
from bronze.storage.opening import open_store
from bronze.storage.rate_limit import RateLimiter
from bronze.storage.store import BinaryReader, ListEntry, Store, Upload, checked_key, join

__all__ = [
    "BinaryReader",
    "ListEntry",
    "LocalStore",
    "MemoryStore",
    "RateLimiter",
    "StorageLocation",
    "Store",
    "Upload",
    "checked_key",
    "join",
    "load_json_object",
    "open_store",
    "read_json_object",
    "unusable_object_error",
]
