"""PostgreSQL's encodings as Python knows them.

Owns the table of names, and the conversion of text that one server session has sent into the encoding of another's
client. Refuses to guess: where an encoding has no equal, bytes stay as they are, as under SQL_ASCII.
"""

from __future__ import annotations

# PostgreSQL documentation, "Character Set Support". Those that Python has no codec for are missing.
CODECS = {
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "BIG5": "cp950",
    "EUC_CN": "gb2312",
    "EUC_JP": "euc_jp",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_KR": "euc_kr",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "JOHAB": "johab",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "SHIFT_JIS_2004": "shift_jis_2004",
    "SJIS": "cp932",
    "UHC": "cp949",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
}


def recoded(text: bytes, source: bytes, wanted: bytes) -> bytes:
    """Text in the encoding `source` as a client with client_encoding `wanted` reads it; both as PostgreSQL names them.

    A character that `wanted` lacks becomes a question mark: PostgreSQL would end the delivery with an error, by which
    a session loses the other notifications, too.
    """
    if source == wanted or text.isascii():
        return text
    before, after = CODECS.get(source.decode()), CODECS.get(wanted.decode())
    if before is None or after is None:
        return text
    try:
        return text.decode(before).encode(after, "replace")
    except UnicodeDecodeError:
        return text
