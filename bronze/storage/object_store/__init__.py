"""The store in a bucket of Amazon S3, of a compatible service, or of Google Cloud Storage.

A service answers each request on its own; an answer can be lost although the request took effect, and a request can
take effect late. So a conditional write is sent once, and what exists at the key is looked at before it is sent again:
small objects carry a token of their writer (`conditional`), large ones are compared (`content`).

Begin at `ObjectStore`. Below it, `bucket.Bucket` makes the requests; `conditional`, `upload`, `probe` and `cleanup` are
what is made of them. What differs between services is in `s3` and `gcs`, behind the protocol of `provider`; no other
module may ask which service it is. Code outside this package opens stores with `bronze.storage.opening.open_store`.
"""

from bronze.storage.object_store.store import ObjectStore

__all__ = ["ObjectStore"]
