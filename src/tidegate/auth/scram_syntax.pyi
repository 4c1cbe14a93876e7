from typing import Final

MAX_MESSAGE_BYTES: Final[int]
MAX_NONCE_BYTES: Final[int]
