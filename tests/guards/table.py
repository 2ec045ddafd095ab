"""The guards, and how each one is broken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard that is broken by replacing a text that occurs once in its file.

    Attributes:
        protects: what the guard protects, in words.
        file: below the root of the project.
        old, new: the text, and what takes its place.
        tests: the nearest test files; one of their tests must fail.
    """

    protects: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _in(file: str, *tests: str) -> tuple[str, tuple[str, ...]]:
    return f"bronze/{file}", tuple(f"tests/bronze/{test}" for test in tests)


_SEQUENCER = _in(
    "commit/sequencer.py", "commit/test_sequencer.py", "commit/test_lost_events.py", "commit/test_unlocked_chain.py"
)
_POSITION = _in(
    "commit/position.py", "commit/test_position.py", "commit/test_lost_events.py", "commit/test_sequencer.py"
)
_CHECKPOINT = _in("commit/checkpoint.py", "commit/test_checkpoint.py", "commit/test_lost_events.py")
_PLACE = _in("commit/place_check.py", "commit/test_sequencer.py")
_PUBLISHED = _in("commit/published_check.py", "commit/test_published_check.py")
_RECOVERY = _in("commit/recovery.py", "commit/test_recovery.py", "commit/test_lost_events.py")
_EXISTENCE = _in("commit/existence.py", "commit/test_existence.py")
_CATALOG_HEAD = _in("commit/catalog_head.py", "commit/test_catalog_head.py")
_RECONCILE = _in("commit/reconcile.py", "commit/test_reconcile.py")
_TAIL = _in(
    "commit/chain_tail.py", "commit/test_lost_events.py", "commit/test_chain_properties.py", "commit/test_sequencer.py"
)
_PRUNING = _in("commit/pruning.py", "commit/test_lost_events.py")
_EVENT = _in("audit/event.py", "audit/test_event.py")
_EVENT_LOG = _in("audit/event_log.py", "audit/test_event_log.py")
_CLAIMS = _in("audit/claims.py", "audit/test_event_log.py", "commit/test_unlocked_chain.py")
_HASH_FILE = _in("audit/chain_hash_file.py", "audit/test_chain_hash_file.py")
_DELIVERY = _in("audit/delivery.py", "audit/test_delivery.py")
_LOCAL = _in("storage/local.py", "storage/test_local.py")
_ROOT = _in("storage/local_root.py", "storage/test_local.py")
_UPLOAD = _in("storage/local_upload.py", "storage/test_local.py")
_LOCK_FILE = _in("storage/lock_file.py", "storage/test_lock_file.py", "storage/test_local.py")
_LEFTOVERS = _in("storage/leftovers.py", "storage/test_leftovers.py", "storage/test_local.py")
_PUBLICATION = _in("dataset/publication.py", "dataset/test_publication.py", "ingest/test_copier.py")
_DATASET = _in("dataset/dataset.py", "dataset/test_dataset.py", "ingest/test_copier.py")
_MANIFEST = _in("dataset/manifest.py", "dataset/test_manifest.py")
_ENCODER = _in("ingest/encoder.py", "ingest/test_encoder.py")
_DECODER = _in("ingest/decoder.py", "ingest/test_encoder.py")
_ROWS = _in("ingest/rows.py", "ingest/test_encoder.py")
_COPIER = _in("ingest/copier.py", "ingest/test_copier.py")
_FRAME = _in("lake/zstd_frame.py", "lake/test_zstd_frame.py")
_OPENING = _in("lake/opening.py", "lake/test_opening.py")
_SESSION = _in("catalog/session.py", "catalog/test_session.py", "catalog/test_catalog.py")
_LOCKS = _in("catalog/chain_locks.py", "catalog/test_chain_locks.py")
_HASHES = _in("ledger/hashes.py", "ledger/test_hashes.py")
_CLOSE_META = _in("ledger/close_meta.py", "ledger/test_close_meta.py")
_SIGNATURE = _in("authenticity/value_signature.py", "authenticity/test_value_signature.py")
_AUTHENTICATOR = _in("authenticity/authenticator.py", "authenticity/test_authenticator.py")
_ATTESTATION = _in("commit/attestation.py", "commit/test_attestation.py")
_QUORUM = _in("authenticity/quorum.py", "authenticity/test_quorum.py")
_VALIDATORS = _in("authenticity/validators_file.py", "authenticity/test_validators_file.py")
_COMPARISON = _in("archives/comparison.py", "archives/test_comparison.py")
_HEADERS = _in("archives/ledger_headers.py", "archives/test_ledger_headers.py")
_WITNESS = _in("archives/witness.py", "archives/test_witness.py")
_ARCHIVE_STATE = _in("archives/state_file.py", "archives/test_state_file.py")
_ARCHIVE_CHECK = _in("commit/archive_check.py", "commit/test_archive_check.py")
_ANCHORING = _in("commit/anchoring.py", "commit/test_anchoring.py")
_SCP = _in("authenticity/scp.py", "authenticity/test_scp.py")
_SCP_CHECK = _in("verify/scp_check.py", "verify/test_scp_check.py")
_VERIFY_EVENT = _in("verify/event_check.py", "verify/test_lies.py", "verify/test_verifier.py")
_VERIFY_FILE = _in("verify/file_check.py", "verify/test_lies.py", "verify/test_verifier.py")

_ROWS_OF_TABLE: list[tuple[str, tuple[str, tuple[str, ...]], str, str]] = [
    # commit
    ("a commit looks at what is published first", _SEQUENCER,
     "manifest = check_published(self._era, self._dataset, summary)",
     "manifest = self._dataset.find_manifest(self._era, summary.partition)"),
    ("a partition behind the position is not committed", _PLACE,
     "if summary.partition.start > position.next_ledger:", "if False:"),
    ("the place of a partition is checked", _SEQUENCER, "self._place.check(summary, position)", "pass"),
    ("the chain head is only advanced from where it was", _SEQUENCER,
     "expected=[None, stated, *between]", "expected=None"),
    ("an adopted event is made durable", _SEQUENCER, "            log.ensure_durable(event)\n", ""),
    ("another checksum needs allow_overwrite", _SEQUENCER, "if not self._era.allow_overwrite:", "if False:"),
    ("an overlap with a known event is refused", _SEQUENCER, "            tail.check_no_overlap(summary)\n", "            pass\n"),
    ("an event of a dead run is found before one is appended", _SEQUENCER, "if not is_at_end:", "if False:"),
    ("a checkpoint is not set back by a slow commit", _SEQUENCER,
     "return now.last_ledger <= summary.partition.end or", "return True or"),
    ("another copier's event is noticed", _TAIL, "return not self._names.issuperset(self._log.names())", "return False"),
    ("files that came since are noticed", _TAIL, "position.chain.files == names_digest(self._names)", "True"),
    ("events that are gone are noticed", _POSITION, "    if end.head in known:\n        return\n", "    return\n"),
    ("an era does not start behind its chain", _POSITION, "if checkpoint.last_ledger + 1 < era.ledger_start:", "if False:"),
    ("a head that is in no chain is refused", _POSITION,
     "if stated_head is not None and stated_head not in known:", "if False:"),
    ("caches that disagree are not believed", _POSITION,
     "(chain is not None and chain.head != stated_head)", "False"),
    ("pruned partitions get no second event", _PRUNING, "return position.recorded.has_event_of(summary.partition)", "return False"),
    ("a partition published later was not pruned", _PRUNING,
     "or is_later(published_at, self._oldest.timestamp)", "or False"),
    ("a checkpoint of another chain is refused", _CHECKPOINT, "if chain == self._era.chain:", "if True:"),
    ("a checkpoint is replaced only where that is allowed", _CHECKPOINT, "if not allowed(now):", "if False:"),
    ("the ledger before is trusted by its hash", _PLACE, "if last_hash != summary.previous_hash:", "if False:"),
    ("neighbours are linked by their manifests", _PLACE,
     "self._neighbours.check_before(summary.partition, summary_links(summary))", "pass"),
    ("a gap is linked to what is behind it", _PLACE,
     "self._neighbours.check_behind(summary.partition, summary_links(summary))", "pass"),
    ("what a worker reports is what is published", _PUBLISHED, "if reported != published:", "if False:"),
    ("what is not published is not committed", _PUBLISHED, "if manifest is None:", "if False:"),
    ("a checkpoint made meanwhile stays", _RECOVERY,
     'found.checksum if found else "", lambda now: now is None)', 'found.checksum if found else "")'),
    ("a damaged file is kept", _RECOVERY, "store.create(aside, data)", "pass"),
    ("nothing is copied when nothing is there", _EXISTENCE,
     "if listing.is_empty and committed:", "if False:"),
    ("the catalog's head is compared with the manifests", _CATALOG_HEAD,
     "if row is None or row.checksum != manifest.checksum:", "if False:"),
    ("rows are written in the order of the chain", _RECONCILE,
     "sorted(manifests, key=lambda one: order.get(one, -1))", "sorted(manifests, reverse=True)"),
    ("a row is not written against its event", _RECONCILE,
     "if event is not None and event.checksum != manifest.checksum:", "if False:"),
    # audit
    ("an event's hash is computed", _EVENT, "if stated != computed:", "if False:"),
    ("an event's bytes are its canonical form", _EVENT, "if data != canonical:", "if False:"),
    ("an event has no other keys", _EVENT, "    if unknown:\n", "    if False:\n"),
    ("an event's file is named after it", _EVENT_LOG,
     "if event.chain != self._era.chain or not name.startswith(stem):", "if False:"),
    ("a fork is noticed", _EVENT_LOG, "if other is not event:", "if False:"),
    ("a broken chain is noticed", _EVENT_LOG, "if len(first) > 1:", "if False:"),
    ("a place in the chain is claimed", _EVENT_LOG, "            claim_place(self._store, self._era, event, key, self._file_name)\n", ""),
    ("a claim is of this chain and place", _CLAIMS,
     "if not fits or other.chain != era.chain or other.prev_hash != event.prev_hash:", "if False:"),
    ("a head is replaced only when expected", _HASH_FILE,
     "(expected is not None and current not in expected)", "False"),
    ("a head has the form of a hash", _HASH_FILE, "if not is_checksum(event_hash):", "if False:"),
    ("events are delivered once each in a run", _DELIVERY, "if last is not None and last == head:", "if False:"),
    ("delivery lists the events under the lock", _DELIVERY, "with self._log.lock():", "if True:"),
    # storage
    ("a link out of the root is not followed", _ROOT,
     "if real != self._real_root and not is_below(real, self._real_root):", "if False:"),
    ("only regular files are read", _ROOT, "if not stat.S_ISREG(found.st_mode):", "if False:"),
    ("opening does not block", _ROOT, "_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC", "_OPEN = os.O_RDONLY | os.O_CLOEXEC"),
    ("a read is bounded", _LOCAL, "if max_bytes is not None and len(data) > max_bytes:", "if False:"),
    ("a file is durable before it gets its name", _UPLOAD, "        os.fsync(self._handle)\n", ""),
    ("an existing file is not replaced", _UPLOAD, "            if replace:\n", "            if True:\n"),
    ("a found file is durable", _UPLOAD,
     "            sync_directory(self._final.parent)\n            raise ObjectExistsError", "            raise ObjectExistsError"),
    ("a lock that another one holds is refused", _LOCK_FILE,
     "            if not lock_now(handle, path):\n", "            lock_now(handle, path)\n            if False:\n"),
    ("a lock is of the file that has its name", _LOCK_FILE, "if _is_still_named(handle, path):", "if True:"),
    ("a live owner's directory stays", _LEFTOVERS,
     "if not lock_now(handle, directory / OWNER_FILE):", "if False:"),
    ("another user's scratch directory stays", _LEFTOVERS,
     "os.fstat(folder).st_uid != os.geteuid() or _is_locked(folder)", "_is_locked(folder)"),
    ("a live file stays", _LEFTOVERS,
     "or not lock_now(handle, path):\n            return False", "or False:\n            return False"),
    ("only files are removed", _LEFTOVERS, "if not stat.S_ISREG(found.st_mode) or", "if"),
    ("a replaced name is looked at again", _LEFTOVERS,
     "if not os.path.samestat(found, os.fstat(handle)) or", "if"),
    # dataset
    ("other content is not replaced", _PUBLICATION, "        if not era.allow_overwrite:\n", "        if False:\n"),
    ("another copier's manifest counts", _PUBLICATION,
     "if other is None or other.checksum != manifest.checksum:", "if False:"),
    ("a replacement leaves its mark first", _PUBLICATION,
     "        dataset.mark_replacing(era, manifest.partition)\n        # Without", "        # Without"),
    ("an orphan with the same bytes is kept", _PUBLICATION, "if checksum == manifest.checksum:", "if True:"),
    ("a manifest describes its partition", _DATASET, "if described != expected:", "if False:"),
    ("a short partition is refused", _DATASET, "if manifest.row_count != partition.ledger_count:", "if False:"),
    ("a parquet file has the size of its manifest", _DATASET, "if size != manifest.byte_size:", "if False:"),
    ("a published file keeps its manifest", _DATASET,
     "if self.store.size(self.manifest_key(era, partition)) is not None:", "if False:"),
    ("a manifest names its file", _MANIFEST, "if file != manifest.file:", "if False:"),
    ("a hash has its form", _MANIFEST, "if not pattern.fullmatch(value):", "if False:"),
    # ingest, lake, ledger
    ("every file of a partition is read", _ENCODER, "if given != list(expected):", "if False:"),
    ("a ledger follows the one before", _ENCODER, "check_link(previous.ledger_hash, meta)", "pass"),
    ("the ledger before is trusted by its own hash", _ENCODER,
     "            check_hashes(meta, VerifyLevel.HEADER)\n", "            pass\n"),
    ("a file holds what its name says", _ENCODER, "if rows.next_ledger <= last:", "if False:"),
    ("a protocol is within the era's bounds", _ENCODER,
     "if (low is not None and protocol < low) or (high is not None and protocol > high):", "if False:"),
    ("proofs of authenticity are checked", _ENCODER, "authenticator.check(meta, view)", "pass"),
    ("a file holds no ledger that its name does not say", _DECODER,
     "if first < named_first or last > named_last:", "if False:"),
    ("ledgers come in order", _ROWS, "if meta.sequence != self.next_ledger:", "if False:"),
    ("a partition is whole", _ROWS,
     "or self.next_ledger != self._partition.end + 1:", "or False:"),
    ("what is in the chain is made again with the same bytes", _COPIER,
     'if committed in ("", manifest.checksum):', "if True:"),
    ("an object does not decode to more than allowed", _FRAME, "                if filled > limit:\n                    raise self._too_large()\n", ""),
    ("a frame has no reserved bit", _FRAME, "if descriptor & 0x08:", "if False:"),
    ("a lake is of the configured network", _OPENING,
     "if expected is not None and passphrase != expected:", "if False:"),
    ("a lake's version is known", _OPENING,
     "if version is not None and not _VERSION.fullmatch(str(version)):", "if False:"),
    ("a batch holds as many ledgers as it says", _CLOSE_META, "if count != last - first + 1:", "if False:"),
    ("nothing follows the last ledger", _CLOSE_META, "if metas[-1].end != end:", "if False:"),
    ("a stored hash is the computed one", _HASHES, "    if stored != computed:\n", "    if False:\n"),
    ("an empty set is empty", _HASHES, "        if meta.tx_count:\n", "        if False:\n"),
    ("a signature is verified", _SIGNATURE, "    except BadSignatureError:\n        return False", "    except BadSignatureError:\n        return True"),
    ("a signature is required", _AUTHENTICATOR, "elif not may_be_unsigned(meta, data):", "elif False:"),
    ("an anchor is compared", _AUTHENTICATOR, "if expected is not None and expected != found.hex():", "if False:"),
    ("sets that are not verified name no signers", _AUTHENTICATOR,
     "if signature.attests_previous and self._policy.sets_are_verified:", "if signature.attests_previous:"),
    ("a manifest names a bounded number of signers", _AUTHENTICATOR, "[:MAX_SIGNERS]", ""),
    ("signers have ledgers of their partition", _in("dataset/manifest.py", "commit/test_attestation.py"),
     "if not manifest.partition.first_ledger <= ledger <= manifest.partition.end:", "if False:"),
    ("a quorum needs its threshold", _QUORUM, "return agreeing >= self.threshold", "return agreeing >= 1"),
    ("who signed a ledger stands behind the one before", _QUORUM, "return ledger - 1", "return ledger"),
    ("organizations need enough of their validators", _VALIDATORS,
     "threshold=count - (count - 1) // 2, nodes", "threshold=1, nodes"),
    ("critical organizations are all needed", _VALIDATORS, "threshold = count if quality == _CRITICAL else ", "threshold = "),
    ("a validator is not counted twice", _VALIDATORS, "if one == other:", "if False:"),
    ("a node's key is checked", _VALIDATORS, "if len(raw) != 35 or node_name(raw[1:33]) != text:", "if False:"),
    ("a seed is not shown", _VALIDATORS, 'if text.startswith("G") else "what stands there"', 'if True else ""'),
    ("what lags too far is refused", _ATTESTATION,
     "if is_checked and summary.last - (after.first - 1) <= self._policy.lag:", "if is_checked:"),
    ("attestation is asked for before a commit", _in("commit/place_check.py", "commit/test_attestation.py"),
     "            self._attestation.check(summary)\n", "            pass\n"),
    ("signers before a gap attest nothing behind it", _ATTESTATION,
     "if kept is not None and kept.last == first - 1 else GatheredSigners(", "if kept is not None else GatheredSigners("),
    ("signatures under another network attest nothing", _ATTESTATION,
     "return not self._policy.network_id or authenticity.network_id == self._policy.network_id", "return True"),
    ("signatures that were not checked attest nothing", _ATTESTATION,
     "if authenticity is None or not authenticity.has_checked_signatures:", "if authenticity is None:"),
    ("a file of other validators is not used", _ATTESTATION,
     'or document["quorum"] != self._quorum:', "or False:"),
    ("what the file says must follow from its signers", _ATTESTATION,
     "if through is not None and (through != first - 1 or not self._policy.quorum.is_satisfied_by(signers)):", "if False:"),
    ("an archive with another hash contradicts", _COMPARISON, "if found != expected:", "if False:"),
    ("an archive of another network confirms nothing", _COMPARISON,
     "if self._passphrase is not None and history.passphrase not in (None, self._passphrase):", "if False:"),
    ("a checkpoint that an archive has not come to is not asked for", _COMPARISON,
     "if checkpoint_of(ledger) <= reaches]", "if ledger <= reaches]"),
    ("an archive's stored hash is the computed one", _HEADERS, "if computed != stored:", "if False:"),
    ("an archive's headers are linked", _HEADERS,
     "if previous_hash and stated_previous != previous_hash:", "if False:"),
    ("an archive's file is whole", _HEADERS, "if expected <= checkpoint:", "if False:"),
    ("an archive's file does not decompress without end", _in("archives/checkpoint_files.py", "archives/test_checkpoint_files.py"),
     "if len(out) > max_bytes:", "if False:"),
    ("a server's answer does not grow without end", _in("archives/http_files.py", "archives/test_http_files.py"),
     "if len(body) > max_bytes:", "if False:"),
    ("an archive redirects to no other host", _in("archives/http_files.py", "archives/test_http_files.py"),
     "if not is_same_host(at, target):", "if False:"),
    ("an audit gives an archive up that is down", _in("archives/archive.py", "archives/test_archive.py"),
     "if self._give_up_after is not None and self._failures >= self._give_up_after:", "if False:"),
    ("waits for a slow archive are bounded in all", _WITNESS,
     "until = started + min(seconds, max(0.0, MAX_LOST_SECONDS - self._lost))", "until = started + seconds"),
    ("an archive that failed is left alone", _WITNESS,
     "if self._failure is not None and self._clock() < self._left_alone_until:", "if False:"),
    ("the state of another chain is not believed", _ARCHIVE_STATE, 'if document["chain"] != self.chain:', "if False:"),
    ("a contradiction stays while an archive is down", _ARCHIVE_STATE,
     "if contradicts is not None and not isinstance(error, ArchiveContradictionError):", "if False:"),
    ("a contradiction stays until that ledger agrees", _ARCHIVE_STATE,
     "if self.contradicts is None or (ledger is not None and ledger >= self.contradicts):", "if True:"),
    ("what an archive contradicts is not committed", _ARCHIVE_CHECK, "if contradiction is not None:", "if False:"),
    ("a contradiction outlives its run", _ARCHIVE_CHECK, "            self._check_contradicted()\n", "            pass\n"),
    ("a contradiction outlives a store that fails", _ARCHIVE_CHECK,
     "            self._record.load()\n", "            self._record.load()\n            self._is_loaded = True\n"),
    ("only hashes of published partitions are believed", _ANCHORING,
     "if ledger in of_stretch and hash_of(ledger) == ledger_hash:", "if ledger in of_stretch:"),
    ("nothing behind a gap stands for what is before", _ANCHORING, "if found != stretch[-1]:", "if False:"),
    ("enough archives have to agree", _ANCHORING, "ledger = known[needed - 1]", "ledger = known[0]"),
    ("archives are asked before a commit", ("bronze/commit/sequencer.py", ("tests/e2e/test_archives.py",)),
     "            self._archives.check(summary)\n", "            pass\n"),
    ("an archive with another hash is a finding", ("bronze/verify/archive_audit.py", ("tests/pipeline/launch/test_archive_audit.py",)),
     "elif theirs is not None:", "elif False:"),
    ("too few archives prove nothing in an audit", ("bronze/verify/archive_audit.py", ("tests/pipeline/launch/test_archive_audit.py",)),
     "is_proven = said.agreeing >= needed and not said.others", "is_proven = not said.others"),
    ("an older run does not set the file back", _ATTESTATION, "return None if is_further or document == data", "return None if document == data"),
    ("an SCP message is signed", _SCP, "and envelope.holds(network_id):", ":"),
    ("only named validators' messages count", _SCP, "if name in nodes and name not in", "if name not in"),
    ("a message is about its ledger", _SCP, "if one.ledger == ledger]", "]"),
    ("nested quorum sets are bounded", _SCP, "if level > _MAX_NESTING:", "if False:"),
    ("a quorum must have taken the row's value", _SCP_CHECK,
     "if self.quorum.is_satisfied_by(taken.get(value, ())):", "if any(map(self.quorum.is_satisfied_by, taken.values())):"),
    ("another value of a quorum is wrong", _SCP_CHECK,
     "if other != value and self.quorum.is_satisfied_by(behind):", "if False:"),
    ("a row has the hash that its manifest states", _SCP_CHECK,
     '("has the hash", meta.ledger_hash.hex(), stated),', ""),
    ("signers are those that rows show", _in("verify/partition_check.py", "verify/test_audit.py"),
     "compare_signatures(manifest, check.proven, self.verify, collector)", "pass"),
    ("a contract event is compared", _AUTHENTICATOR,
     "if found.wrong is not None and self._policy.events is CheckMode.REQUIRE:", "if False:"),
    # catalog
    ("text is exchanged as UTF-8", _SESSION, 'if connection.encoding != "UTF8":', "if False:"),
    ("a server that does not answer is left", _SESSION, "        timer.start()\n", ""),
    ("a lock waits for two seconds only", _LOCKS, "SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}", "SET LOCAL lock_timeout = 3000000"),
    ("a lock that was lost is taken again", _LOCKS,
     "        self._session.open()\n        try:\n            for chain", "        try:\n            for chain"),
    # verify
    ("an event's fields are compared", _VERIFY_EVENT, "        if found != right:\n", "        if False:\n"),
    ("an event's id follows from it", _VERIFY_EVENT, "if is_of_older_copier(event) and", "if False and"),
    ("a foreign parquet file is found", _VERIFY_FILE, 'if url.endswith(".parquet"):', "if False:"),
    ("a footer's rows are counted", _VERIFY_FILE, "if footer.rows != manifest.row_count:", "if False:"),
    ("a file begins and ends with its partition", _VERIFY_FILE,
     "if (links.first, links.last) != (partition.first_ledger, partition.end):", "if False:"),
    ("links in a manifest are those of the rows", _VERIFY_FILE,
     "elif manifest.ledgers is not None and manifest.ledgers != links:", "elif False:"),
    # further guards, each with the one file whose test notices
    ("under the lock the position is read again", _in("commit/sequencer.py", "commit/test_sequencer.py"),
     "if self._log is not None and self._log.supports_locking:", "if False:"),
    ("a filled gap leaves the checkpoint alone", _in("commit/sequencer.py", "commit/test_sequencer.py"),
     "if not is_ahead and not is_last:", "if False:"),
    ("commits of one chain exclude each other", _in("commit/chain_state.py", "commit/test_sequencer.py"),
     "return self.log.lock() if self.log else nullcontext()", "return nullcontext()"),
    ("a stale catalog never names the chain's head", _in("commit/chain_state.py", "commit/test_chain_state.py"),
     "check_catalog_head(self.era, self.dataset, self.downstream.recorded(self.era), up_to)", "pass"),
    ("a replaced partition never counts as pruned", _in("commit/pruning.py", "commit/test_lost_events.py"),
     "summary.outcome in (Outcome.WRITTEN, Outcome.REPLACED)", "summary.outcome is Outcome.WRITTEN"),
    ("repair never overwrites a checkpoint made meanwhile", _in("commit/recovery.py", "commit/test_recovery.py"),
     "checkpoint.save(last, manifest.checksum if manifest else \"\", lambda now: now is None)", "checkpoint.save(last, manifest.checksum if manifest else \"\")"),
    ("restore never puts a head back that others advanced", _in("commit/recovery.py", "commit/test_recovery.py"),
     "expected=[stated or None, *log.hashes_between(stated, position.head)]", "expected=None"),
    ("an old head is not taken for the end", _in("commit/position.py", "commit/test_position.py"),
     "if event.event_hash != stated_head and (chain is None or not chain.files):", "if False:"),
    ("an unlinked partition does not count as committed", _in("commit/position.py", "commit/test_position.py"),
     "or not is_linked:", ":"),
    ("nothing overlaps the last committed partition", _in("commit/place_check.py", "commit/test_sequencer.py"),
     "check_no_overlap(summary, position.last)", "pass"),
    ("nothing overlaps a published partition", _in("commit/place_check.py", "commit/test_sequencer.py"),
     "self._neighbours.check_no_overlap(summary.partition)", "pass"),
    ("a partition links to the last committed one", _in("commit/place_check.py", "commit/test_sequencer.py"),
     "self._check_link_to_last(summary, position)", "pass"),
    ("the digest of names is only carried on where it is known", _in("commit/chain_end.py", "commit/test_chain_end.py"),
     "if end is None or end.head != head or not end.files:", "if end is None:"),
    ("an orphan beside its partition is removed", _in("commit/existence.py", "commit/test_existence.py"),
     "if taken.overlapping(orphan) or (unfinished and", "if (unfinished and"),
    ("of two orphans that overlap one is removed", _in("commit/existence.py", "commit/test_existence.py"),
     "or (unfinished and unfinished[-1].end >= orphan.start):", "or False:"),
    ("a partition that cannot be made again is an error", _in("commit/existence.py", "commit/test_existence.py"),
     "elif other is None or not (other.start <= partition.start and partition.end <= other.end):", "elif False:"),
    ("traces without an event are made again", _in("commit/existence.py", "commit/test_existence.py"),
     "if partition.end < next_ledger and _gap_at(partition, gaps):", "if False:"),
    ("the mark of a replacement stays until it is corrected", _in("commit/existence.py", "commit/test_existence.py"),
     "- uncorrected.keys():", "- set():"),
    ("another chain's summary is refused", _in("commit/published_check.py", "commit/test_published_check.py"),
     "if summary.chain != era.chain:", "if False:"),
    ("the chain's end in the checkpoint is compared and swapped", _in("commit/checkpoint.py", "commit/test_checkpoint.py"),
     "now.chain.head not in expected", "False"),
    ("a checkpoint holds ledger numbers", _in("stellar.py", "commit/test_checkpoint.py"),
     "not 0 <= value <= MAX_LEDGER", "False"),
    ("rows out of order are moved", _in("commit/reconcile.py", "commit/test_reconcile.py"),
     "misplaced = _misplaced(events, rows)", "misplaced: list[Partition] = []"),
    ("partitions that are not committed get no row", _in("commit/reconcile.py", "commit/test_reconcile.py"),
     "if partition.end < next_ledger]", "]"),
    ("rows are compared when anything changed", _in("commit/reconcile.py", "commit/test_reconcile.py"),
     "catalog.digest(era, lineage.table) == digest", "True"),
    ("a hash in a row must have the form of one", _in("commit/reconcile.py", "commit/test_reconcile.py"),
     "not is_checksum(row.event_hash)", "False"),
    ("a row keeps no other partition's event", _in("commit/reconcile.py", "commit/test_reconcile.py"),
     "row.event_hash not in of_others", "True"),
    ("a chain that began needs the catalog's answer", _in("commit/downstream.py", "commit/test_chain_state.py"),
     "if self._catalog_strict or needed:", "if self._catalog_strict:"),
    ("the lock of the chain is the store's", _in("audit/event_log.py", "commit/test_sequencer.py"),
     "with self._store.lock():", "if True:"),
    ("files of other names are not events", _in("audit/event_log.py", "audit/test_event_log.py"),
     "if self._file_name.fullmatch(entry.name)]", "]"),
    ("an event file that is there decides", _in("audit/event_log.py", "audit/test_event_log.py"),
     "if not self._holds(key, data):", "if False:"),
    ("whoever finds a place taken completes that event", _in("audit/claims.py", "audit/test_event_log.py"),
     "store.create(name.decode(), data)", "pass"),
    ("an event of another version is refused", _in("audit/event.py", "audit/test_event.py"),
     "if document[\"version\"] != VERSION:", "if False:"),
    ("an event is of one table", _in("audit/event.py", "audit/test_event.py"),
     "if len(document[\"tables\"]) != 1:", "if False:"),
    ("the delivery cursor is compared and swapped", _in("audit/delivery.py", "audit/test_delivery.py"),
     "self._record.set(self.chain, after, expected=[before])", "self._record.set(self.chain, after)"),
    ("another process's progress is followed", _in("audit/delivery.py", "audit/test_delivery.py"),
     "if last != event.event_hash:", "if False:"),
    ("the entries of other chains stay", _in("audit/chain_hash_file.py", "audit/test_chain_hash_file.py"),
     "kept = hashes | (", "kept = ("),
    ("a first 409 proves nothing", _in("audit/endpoint.py", "audit/test_endpoint.py"),
     "if status == 409 and is_repeat:", "if status == 409:"),
    ("redirects to other hosts are not followed", _in("audit/endpoint.py", "audit/test_endpoint.py"),
     "not is_same_host(url, target)", "False"),
    ("a long Retry-After is cut", _in("audit/endpoint.py", "audit/test_endpoint.py"),
     "min(error.retry_after, _MAX_RETRY_AFTER_SECONDS)", "error.retry_after"),
    ("HTTPS is not left by a redirect", _in("audit/endpoint_url.py", "audit/test_endpoint.py"),
     "(before.scheme, after.scheme) != (\"https\", \"http\")", "True"),
    ("netrc credentials are not sent", _in("audit/http_attempt.py", "audit/test_endpoint.py"),
     "self.auth = _no_credentials", "pass"),
    ("stuck attempts are limited", _in("audit/http_attempt.py", "audit/test_endpoint.py"),
     "if len(_abandoned) >= MAX_ABANDONED_ATTEMPTS:", "if False:"),
    ("garbage in the catalog is no chain head", _in("catalog/catalog.py", "commit/test_reconcile.py"),
     "if not 0 <= start <= end <= MAX_LEDGER or not is_checksum(event_hash):", "if False:"),
    ("a lost lock stops every write", _in("catalog/connection.py", "catalog/test_connection.py"),
     "self._locks.ensure()", "pass"),
    ("a run without events keeps the row's event", _in("catalog/statements.py", "catalog/test_catalog.py"),
     "elif not row.event_hash:", "elif False:"),
    ("a recorded partition stays passed", _in("catalog/statements.py", "catalog/test_catalog.py"),
     "if cursor.fetchone() is None:", "if True:"),
    ("a correction is the last event of its chain", _in("catalog/statements.py", "catalog/test_catalog.py"),
     "if row.event_hash not in (\"\", before[\"pas_event_hash\"]) else", "if False else"),
    ("a correction is noted among the changes", _in("catalog/statements.py", "catalog/test_catalog.py"),
     "if before[\"checksum\"] != row.checksum:", "if False:"),
    ("a manifest without its file is an error", _in("dataset/dataset.py", "dataset/test_dataset.py"),
     "if size is None:", "if False:"),
    ("a parquet file holds its partition's ledgers", _in("dataset/dataset.py", "dataset/test_dataset.py"),
     "if (links.first, links.last) != (partition.first_ledger, partition.end):", "if False:"),
    ("a manifest's numbers are numbers", _in("dataset/manifest.py", "dataset/test_manifest.py"),
     "or isinstance(value, bool)", ""),
    ("a manifest's ledger hashes are hashes", _in("dataset/manifest.py", "dataset/test_manifest.py"),
     "_matching(entry, name, _LEDGER_HASH)", "_text(entry, name)"),
    ("the published partition before must link", _in("dataset/neighbours.py", "commit/test_sequencer.py"),
     "if links is not None and links.last_hash != ledgers.previous_hash:", "if False:"),
    ("before publishing: the one before must link", _in("dataset/neighbours.py", "dataset/test_neighbours.py"),
     "if before and links and links.last_hash != ledgers.previous_hash:", "if False:"),
    ("before publishing: the one behind must link", _in("dataset/neighbours.py", "dataset/test_neighbours.py"),
     "if behind and links and links.previous_hash != ledgers.last_hash:", "if False:"),
    ("a partition found published is made durable", _in("dataset/publication.py", "dataset/test_publication.py"),
     "dataset.ensure_durable(era, manifest.partition)", "pass"),
    ("a correction is marked before anything changes", _in("dataset/publication.py", "dataset/test_publication.py"),
     "if self.is_correction:", "if False:"),
    ("an orphan without locks is not replaced", _in("dataset/publication.py", "dataset/test_publication.py"),
     "if not (force or dataset.store.supports_locking):", "if False:"),
    ("a skipped partition is made durable", _in("ingest/copier.py", "ingest/test_copier.py"),
     "self.dataset.ensure_durable(era, partition)", "pass"),
    ("links are compared before publishing", _in("ingest/copier.py", "ingest/test_copier.py"),
     "check_published_neighbours(", "bool("),
    ("a partition made anew has its own content", _in("ingest/copier.py", "ingest/test_renewal.py"),
     "check_same_content(self.dataset, era, manifest, stated, objects)", "pass"),
    ("a partition made anew has the stated checksum", _in("ingest/renewal.py", "ingest/test_renewal.py"),
     "if manifest.checksum == stated:", "if True:"),
    ("a good file is not written again", _in("ingest/renewal.py", "ingest/test_renewal.py"),
     "if not self._is_file_good():", "if True:"),
    ("the ledger before, of the same file, is believed by its hash only", _in("ingest/encoder.py", "ingest/test_encoder.py"),
     "previous = self._if_header_hash_holds(meta)", "previous = meta"),
    ("the ledger before, of the file before, is believed by its hash only", _in("ingest/encoder.py", "ingest/test_encoder.py"),
     "return self._if_header_hash_holds(metas[-1])", "return metas[-1]"),
    ("both extensions hold the same content", _in("lake/lake.py", "lake/test_lake.py"),
     "if not same:", "if False:"),
    ("the layout fits the objects", _in("lake/opening.py", "lake/test_opening.py"),
     "if sample is not None and layout.key(sample.name.start) != sample.key:", "if False:"),
    ("stated sizes beyond the limit allocate nothing", _in("lake/zstd_frame.py", "lake/test_zstd_frame.py"),
     "if filled > limit or at + least > limit:", "if False:"),
    ("links out of the root are not followed", _in("storage/local_root.py", "storage/test_local.py"),
     "self.check_inside(real, path)", "pass"),
    ("nothing is written through a link out of the root", _in("storage/local_root.py", "storage/test_local.py"),
     "self.check_inside(folder, path)", "pass"),
    ("a huge file is refused before it is read", _in("storage/local.py", "storage/test_local.py"),
     "if size > limit:", "if False:"),
    ("nothing is listed through a link out of the root", _in("storage/local_root.py", "storage/test_local.py"),
     "self.check_inside(_opened_path(handle, path), path)", "pass"),
    ("nothing is deleted through a link out of the root", _in("storage/local.py", "storage/test_local.py"),
     "self._directory.check_inside(os.path.realpath(path.parent), path)", "pass"),
    ("updates exclude each other", _in("storage/local.py", "storage/test_local.py"),
     "with self.upload(key) as upload, self._locked(\"update\", \"\", self.path(key)):", "with self.upload(key) as upload:"),
    ("creating never replaces a file", _in("storage/local_upload.py", "storage/test_local.py"),
     "create_name(self._temporary, self._final)", "self._temporary.replace(self._final)"),
    ("files of other names are left alone", _in("storage/leftovers.py", "storage/test_local.py"),
     "if not (_OWNED_NAME.fullmatch(name) or is_lock_file_name(name)):", "if False:"),
    ("young files stay where locks do not tell", _in("storage/leftovers.py", "storage/test_leftovers.py"),
     "or time.time() - found.st_mtime < min_age_s:", ":"),
    ("a file that a cleaner removed is not used", _in("storage/posix.py", "storage/test_local.py"),
     "and os.fstat(handle).st_nlink", ""),
    ("nothing large is loaded", _in("storage/json_object.py", "storage/test_json_object.py"),
     "store.read(key, max_bytes)", "store.read(key)"),
    ("no key leaves the root", _in("storage/store.py", "storage/test_store.py"),
     "(?:^|/)\\.{0,2}(?:/|$)|", ""),
    ("another writer's object is not taken for one's own", _in("storage/object_store/conditional.py", "storage/object_store/test_faults.py"),
     "if failed and _wrote(bucket, key, data, token):", "if failed:"),
    ("an update whose answer was lost is not made twice", _in("storage/object_store/conditional.py", "storage/object_store/test_faults.py"),
     "if answer.attributes.get(WRITER_ATTRIBUTE) in lost_tokens:", "if False:"),
    ("another's object is not taken for one's own copy", _in("storage/object_store/upload.py", "storage/object_store/test_faults.py"),
     "if not failed or not object_equals(self._bucket, self._key, content):", "if not failed:"),
    ("young temporary objects stay", _in("storage/object_store/cleanup.py", "storage/object_store/test_gcs.py"),
     "if created_at(key, modified) < newest]", "]"),
    ("answers are bounded", _in("storage/object_store/http_client.py", "storage/object_store/test_listing.py"),
     "if len(body) > max_bytes:", "if False:"),
]  # fmt: skip

MUTATIONS = [Mutation(protects, file, old, new, tests) for protects, (file, tests), old, new in _ROWS_OF_TABLE]
