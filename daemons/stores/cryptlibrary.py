"""crypt(3) of the machine's libcrypt, for hashes that were made elsewhere: yescrypt, bcrypt, SHA-crypt.

Python's own module for it is gone since 3.13.  Where the library knows a kind of hash depends on the machine.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import CDLL

NAMES = ("libcrypt.so.1", "libcrypt.so.2", None)        # glibc or libxcrypt, libxcrypt alone, a libc that has it within
ROOM = 1 << 18                  # octets of struct crypt_data: glibc has 131,232, libxcrypt 32,768


def crypt(password: bytes, setting: str) -> str:
    """What crypt(3) makes of a password with a hash as its setting: the same hash, if it was right.

    Raises LookupError where there is no such library, or it does not know that kind.
    """
    from ctypes import c_char_p, create_string_buffer
    function = _library().crypt_r
    function.restype = c_char_p
    made: bytes | None = function(c_char_p(password), c_char_p(setting.encode()), create_string_buffer(ROOM))
    if made is None or made.startswith(b"*"):
        raise LookupError(f"libcrypt does not know hashes that begin with {setting[:setting.find('$', 1) + 1]}")
    return made.decode()


def _library() -> "CDLL":
    from ctypes import CDLL
    for name in NAMES:
        try:
            library = CDLL(name)
        except OSError:                 # not of that name
            continue
        if hasattr(library, "crypt_r"):
            return library
    raise LookupError("this machine has no libcrypt")
