"""The certificate that both proxies show: P-256, as an operator would take today."""

from __future__ import annotations

from pathlib import Path

import trustme


def make(folder: Path) -> tuple[Path, Path]:
    """Write certificate and key into `folder`, the key for its owner alone."""
    made = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(made.cert_chain_pems[0].bytes())
    key.touch(mode=0o600)
    key.write_bytes(made.private_key_pem.bytes())
    return certificate, key
