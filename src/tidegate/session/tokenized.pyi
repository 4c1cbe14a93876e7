from typing import Final

WORD: Final = "word"
NAME: Final = "name"
STRING: Final = "string"
NUMBER: Final = "number"
PARAMETER: Final = "parameter"
SIGN: Final = "sign"
SEMICOLON: Final = "semicolon"
OTHER: Final = "other"

def tokenize(
    text: bytes, most: int, standard_conforming_strings: bool = True, trail: int = 0
) -> list[tuple[str, bytes]] | None:
    """The tokens of a text as (kind, value), None if there are more than `most`.

    Values: WORD as PostgreSQL folds it, NAME and STRING without their quotes, NUMBER and PARAMETER their digits, SIGN
    one byte; OTHER, whatever else there is, has none. Identifiers are cut at 63 bytes, as PostgreSQL cuts them.
    standard_conforming_strings and trail: as for scan_text.
    """
