"""Fortune files: as strfile(1) indexes them and without; folders, shares, offensive ones."""

import struct

import pytest

from daemons.stores.fortunes import LARGEST, LONGEST, ROT13, Fortunes, fortunes

# what strfile(1) of fortune-mod 1.99.1 wrote for these texts
PLAIN = b"one\n%\ntwo\nlines\n%\n%\nthree\n%\n"
PLAIN_INDEX = bytes.fromhex("00000002 00000003 0000000a 00000004 00000000 25000000 00000000 00000006 00000014 0000001c")
SHUFFLED_INDEX = bytes.fromhex("00000002 00000003 0000000a 00000004 00000001 25000000"      # strfile -r: its last
                               "00000000 0000001c 00000014 00000006")                       # offset goes anywhere
REMARKS = b"one\n%\n%% a comment\ntwo\nlines\n%\nthree"
REMARKS_INDEX = bytes.fromhex("00000002 00000003 00000017 00000004 00000008 25000000"
                              "00000000 00000006 0000001f 00000024")
EVERY = [b"one\n", b"two\nlines\n", b"three\n"]
MAY = (False,)
ALL = (False, True)


def index(text, offsets, flags=0, delimiter=b"%"):
    """What strfile(1) writes, as its manual describes it."""
    return struct.pack(">5I4s", 2, len(offsets), 10, 4, flags, delimiter) + \
        struct.pack(f">{len(offsets) + 1}I", *offsets, len(text))


def file(folder, text, its_index=None, name="cookies"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)
    if its_index is not None:
        path.with_name(path.name + ".dat").write_bytes(its_index)
    return str(path)


def strings(source):
    return [source.read(number) for number in range(source.count)]


# -- one file --

@pytest.mark.parametrize(("text", "found"), [
    (PLAIN, EVERY), (REMARKS, EVERY), (b"one\n", [b"one\n"]), (b"one", [b"one\n"]), (b"one\n%", [b"one\n"]),
    (b"%\none\n%\n%\n%\n", [b"one\n"]), (b"", []), (b"%\n", []), (b"%\n%\n", []),
    (b"100 %\n%\n% of it\n%\n", [b"100 %\n", b"% of it\n"])])
def test_strings_stand_between_delimiters(tmp_path, text, found):
    assert strings(Fortunes(file(tmp_path, text))) == found


@pytest.mark.parametrize(("text", "its_index"), [
    (PLAIN, PLAIN_INDEX), (PLAIN, SHUFFLED_INDEX), (REMARKS, REMARKS_INDEX)])
def test_the_index_finds_the_same(tmp_path, text, its_index):
    source = Fortunes(file(tmp_path, text, its_index))
    assert sorted(strings(source)) == sorted(EVERY) and source.count == 3


def test_the_index_may_name_another_delimiter(tmp_path):
    text = b"100 %\n%\nof it\n#\ntwo\n#\n"
    source = Fortunes(file(tmp_path, text, index(text, (0, 16), delimiter=b"#")))
    assert strings(source) == [b"100 %\n%\nof it\n", b"two\n"]


def test_rotated_text_is_turned_back(tmp_path):
    text = PLAIN.translate(ROT13)
    source = Fortunes(file(tmp_path, text, index(text, (0, 6, 20), flags=4)))
    assert strings(source) == EVERY and source.offensive
    assert b"Uryyb".translate(ROT13) == b"Hello"


@pytest.mark.parametrize("its_index", [
    b"", b"\0" * 24, PLAIN_INDEX[:-4], PLAIN_INDEX[:23], PLAIN_INDEX + b"\0", PLAIN_INDEX + b"\0\0\0\0",
    PLAIN_INDEX[:-1] + b"\x1d", b"\0\0\0\2\xff\xff\xff\xff" + PLAIN_INDEX[8:]])
def test_an_index_that_is_broken_or_another_text_s_is_not_believed(tmp_path, its_index):
    assert strings(Fortunes(file(tmp_path, PLAIN, its_index))) == EVERY


def test_a_text_that_grew_after_its_index_is_searched(tmp_path):
    assert strings(Fortunes(file(tmp_path, PLAIN + b"4\n%\n5\n", PLAIN_INDEX))) == [*EVERY, b"4\n", b"5\n"]


def test_an_offset_into_the_midst_of_a_string_tells_nothing(tmp_path):
    source = Fortunes(file(tmp_path, PLAIN, index(PLAIN, (0, 8, 20, 0xFFFFFFFF))))
    assert strings(source) == [b"one\n", b"", b"three\n"]


def test_a_string_that_is_too_long_for_anything_is_none(tmp_path):
    fits, too_long = b"x" * (LONGEST - 4) + b"\n", b"y" * LONGEST + b"\n"
    assert strings(Fortunes(file(tmp_path, b"%\n".join([fits, too_long, fits])))) == [fits, b"", fits]
    assert strings(Fortunes(file(tmp_path, b"%\n".join([fits, too_long])))) == [fits, b""]


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        Fortunes(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="not a file"):
        Fortunes("/dev/zero")
    with open(tmp_path / "large", "wb") as large:
        large.truncate(LARGEST + 1)
    with pytest.raises(ValueError, match="over 64 MiB"):
        Fortunes(str(tmp_path / "large"))


# -- folders --

def names(found):
    return [one.name.rpartition("/")[2] for one in found]


def test_a_folder_is_all_its_fortune_files(tmp_path):
    for name in ("b", "a", ".hidden", "notes.c", "a.u8", "a~", "a.pos"):
        file(tmp_path, PLAIN, name=name)
    (tmp_path / "c").mkdir()
    assert names(fortunes([(None, str(tmp_path))], MAY)) == ["a", "b"]


def test_a_file_without_index_is_switched_off_where_others_have_one(tmp_path):
    file(tmp_path, PLAIN, PLAIN_INDEX, "on")
    off = file(tmp_path, PLAIN, name="off-now")
    assert names(fortunes([(None, str(tmp_path))], MAY)) == ["on"]
    assert names(fortunes([(None, off)], MAY)) == ["off-now"], "but not for who asks for it by name"


def folder_of_all(tmp_path):
    rotated = PLAIN.translate(ROT13)
    file(tmp_path, PLAIN, PLAIN_INDEX, "nice")
    file(tmp_path, PLAIN, PLAIN_INDEX, "rude-o")
    file(tmp_path, rotated, index(rotated, (0, 6, 20), flags=4), "turned")
    file(tmp_path / "off", PLAIN, PLAIN_INDEX, "hidden")
    return [(None, str(tmp_path))]


@pytest.mark.parametrize(("may", "found"), [
    ((False,), ["nice"]), ((True,), ["rude-o", "turned", "hidden"]),
    ((False, True), ["nice", "rude-o", "turned", "hidden"])])
def test_offensive_ones_are_told_where_that_is_wanted(tmp_path, may, found):
    assert names(fortunes(folder_of_all(tmp_path), may)) == found


@pytest.mark.parametrize("name", ["", "/rude-o", "/off", "/turned"])
def test_naming_offensive_ones_is_not_wanting_them(tmp_path, name):
    [(_, folder)] = folder_of_all(tmp_path)
    (tmp_path / "nice").unlink()
    with pytest.raises(ValueError, match="no fortunes there but perhaps offensive ones"):
        fortunes([(None, folder + name)], MAY)


def test_a_path_that_leads_to_no_fortune_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no fortunes there$"):
        fortunes([(None, str(tmp_path))], ALL)
    with pytest.raises(FileNotFoundError):
        fortunes([(None, str(tmp_path / "none"))], ALL)


@pytest.mark.parametrize(("equal", "percents"), [(False, [20.0, 60.0, 20.0]), (True, [40.0, 40.0, 20.0])])
def test_a_folder_s_files_share_its_percentage(tmp_path, equal, percents):
    file(tmp_path / "folder", b"one\n%\n", name="a")
    file(tmp_path / "folder", PLAIN, name="b")
    other = file(tmp_path, PLAIN)
    found = fortunes([(80, str(tmp_path / "folder")), (20, other)], MAY, equal)
    assert [one.percent for one in found] == percents
