"""The texts and numbers that SSH keys and signatures are made of (RFC 4251, section 5)."""

from __future__ import annotations

__all__ = ["Fields", "MalformedError", "string", "uint32"]


class MalformedError(Exception):
    """A key or signature is not what its form says; the message is a phrase."""


def uint32(number: int) -> bytes:
    """Return a number as four bytes."""
    return number.to_bytes(4, "big")


def string(data: bytes) -> bytes:
    r"""Return bytes with their length in front.

    >>> string(b"ssh-rsa")
    b'\x00\x00\x00\x07ssh-rsa'
    """
    return uint32(len(data)) + data


class Fields:
    """Read the fields of a key or signature, in order.

    A length is compared with what is there before anything is copied.

    Args:
        data: All of it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes.

        Raises:
            MalformedError: if there are fewer.
        """
        if size > len(self._data) - self._place:
            raise MalformedError("a length in it is more than there is")
        self._place += size
        return self._data[self._place - size : self._place]

    def uint32(self) -> int:
        """Return the next number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Return the next bytes with a length."""
        return self.take(self.uint32())

    def text(self) -> str:
        """Return the next text: printable ASCII, as all names of SSH are."""
        data = self.string()
        if not data.isascii() or not data.decode("ascii").isprintable():
            raise MalformedError("a name in it is not printable ASCII")
        return data.decode("ascii")

    def positive(self) -> int:
        """Return the next `mpint`, which must be positive and written without needless bytes."""
        data = self.string()
        number = int.from_bytes(data, "big", signed=True)
        if number <= 0 or len(data) != number.bit_length() // 8 + 1:
            raise MalformedError("a number in it is not written as it must be")
        return number

    def rest(self) -> bytes:
        """Return all that follows."""
        return self.take(len(self._data) - self._place)

    def end(self) -> None:
        """Refuse what follows.

        Raises:
            MalformedError: if there is more.
        """
        if self._place != len(self._data):
            raise MalformedError("something follows its last field")
