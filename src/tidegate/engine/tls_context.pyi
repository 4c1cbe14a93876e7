from typing import Final, Self

TICKET_SECRET_SIZE: Final[int]

class TlsContext:
    @property
    def accepts(self) -> bool: ...
    @property
    def end_point(self) -> bytes: ...
    @classmethod
    def for_clients(
        cls, certificate: str, key: str, client_ca: str = "", require: bool = False, ticket_secret: bytes = b""
    ) -> Self: ...
    @classmethod
    def for_servers(
        cls, ca: str = "", verify: bool = False, check_host: bool = False, certificate: str = "", key: str = ""
    ) -> Self: ...
