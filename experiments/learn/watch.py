"""Watch the files and the keys, or look once where there is no terminal.

Files are watched by asking for their times again and again. That needs no library, and it works where a file system
sends no events: in WSL, on network drives, in containers.
"""

from collections.abc import Callable
from pathlib import Path

from experiments.learn.session import WITHOUT_KEYS, Session

PAUSE = 0.2  # seconds between two looks at the files

Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp:
    """What changes when a file is saved: zeros while there is none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def watch(session: Session, read_key: Callable[[float], str], show: Callable[[str], None]) -> None:
    """Check what is saved and obey the keys until q.

    read_key(seconds): the key that is pressed within that time, "" if none is. show(text): put it on the screen.
    """

    def stamps() -> dict[str, Stamp]:
        return {e.name: stamp(session.desk.answer(e)) for e in session.desk.course}

    checked = last = stamps()
    session.check()
    show(session.screen())
    while True:
        key = read_key(PAUSE)
        if key:
            if not session.press(key):
                return
            if key == "r" and not session.resetting:  # the start is back, and checked
                checked[session.exercise.name] = stamp(session.desk.answer(session.exercise))
            show(session.screen())
        now = stamps()
        for exercise in session.desk.course:
            name = exercise.name
            if now[name] != checked[name] and now[name] == last[name]:  # an editor has finished writing it
                checked[name] = now[name]
                session.changed(exercise)
                show(session.screen())
        last = now


def look_once(session: Session, show: Callable[[str], None], chosen: bool = False) -> None:
    """Check what was saved since the last look, and show the exercise that was saved last.

    If nothing was saved, show that one again until it is solved, and then the next that is not solved. chosen: show the
    exercise that is open, whatever was saved.
    """
    session.footer = WITHOUT_KEYS
    edited = [] if chosen else session.desk.edited()
    new = [exercise for exercise in edited if not session.desk.is_checked(exercise)]
    for exercise in new:
        session.changed(exercise)
    if not new:
        if edited:
            session.open_from(edited[-1])
        session.check()
    show(session.screen())
