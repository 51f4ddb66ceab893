"""SSH public keys as people paste them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import asyncssh
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words

MIN_RSA_BITS = 2048
_ACCEPTED = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    text: str
    """``<type> <base64>``, without the comment."""
    fingerprint: str
    """``SHA256:…`` as ssh-keygen shows it."""
    comment: str


def parse_public_key(text: str) -> PublicKey:
    """One OpenSSH line: ed25519, ECDSA or RSA of at least 2048 bits. Raises BadInput KEY_INVALID."""
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise _refuse("这是私钥，请提供 .pub 文件的内容", "that is a private key; give the contents of the .pub file")
    words = line.split(None, 2)
    if len(words) < 2 or "\n" in line or not line.isprintable() or words[0] not in _ACCEPTED:
        raise _refuse("须为一行 ssh-ed25519、ecdsa 或 ssh-rsa 公钥", "one line of ssh-ed25519, ecdsa or ssh-rsa is needed")
    body = f"{words[0]} {words[1]}"
    try:
        parsed = asyncssh.import_public_key(body)
        if words[0] == "ssh-rsa":
            _check_rsa(body)
    except BadInput:
        raise
    except (asyncssh.KeyImportError, ValueError, UnicodeError, NotImplementedError) as e:
        raise _refuse("内容无法解析", "it can't be parsed") from e
    canonical = parsed.export_public_key("openssh").decode("ascii").split()
    if canonical[0] != words[0]:
        raise _refuse("类型与内容不符", "its type and its content differ")
    return PublicKey(f"{canonical[0]} {canonical[1]}", parsed.get_fingerprint("sha256"), words[2] if len(words) > 2 else "")


def _check_rsa(body: str) -> None:
    key = load_ssh_public_key(body.encode("ascii"))
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_RSA_BITS:
        raise _refuse(f"RSA 密钥至少 {MIN_RSA_BITS} 位", f"an RSA key has at least {MIN_RSA_BITS} bits")


def _refuse(zh: str, en: str) -> BadInput:
    return BadInput(Reason.KEY_INVALID, detail=Words(zh, en))
