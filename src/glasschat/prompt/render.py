"""Rendering of a chat template: within limits, and with errors that a person can read."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import jinja2
from jinja2.exceptions import SecurityError

from glasschat.errors import TemplateError
from glasschat.messages import Message
from glasschat.prompt.filters import meter
from glasschat.prompt.render_limits import OUTPUT_SIZE, LimitExceeded, Meter, enforce_deadline
from glasschat.prompt.sandbox import FILENAME, Refused, Sandbox

SOURCE_SIZE = 256 * 1024
COMPILE_SECONDS = 5.0
_WAY_OUT = Message("use another model file, or a template of your own")


class TemplateRefusal(TemplateError):
    """The template refused these messages through raise_exception; `words` are its own."""

    def __init__(self, words: str) -> None:
        super().__init__(
            Message("the model's chat template refuses these messages: {words}", words=words)
        )
        self.words = words


class Renderer:
    """One compiled template. Rendering is safe from any thread, and happens in the caller's.

    Limits: 256 KiB of source, 5 s to compile, 2 s for each render, 4,000,000 characters of output
    and 1,000,000 for any value on the way, each beside what the messages bring along, 128,000,000
    for all values of one render, 100,000 numbers in a range.
    """

    def __init__(self, source: str) -> None:
        if len(source) > SOURCE_SIZE:
            raise TemplateError(
                "the model's chat template is {count:,} characters long, and at most "
                "{most:,} are taken: {way_out}",
                count=len(source),
                most=SOURCE_SIZE,
                way_out=_WAY_OUT,
            )
        with _translate_errors(Meter(seconds=COMPILE_SECONDS)):
            self._template = Sandbox().from_string(source)

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        open_reply: bool,
        bos_token: str,
        eos_token: str,
        extra: int = 0,
    ) -> str:
        """Return the text of the prompt.

        `extra` is how many characters the messages may add to the output beyond the limit. Raises
        TemplateRefusal if the template refuses the messages, TemplateError for every other failure
        in it.
        """
        bounds = Meter(extra=extra)
        output: list[str] = []
        length = 0
        with _translate_errors(bounds):
            for piece in self._template.generate(
                messages=[dict(message) for message in messages],
                add_generation_prompt=open_reply,
                bos_token=bos_token,
                eos_token=eos_token,
                tools=None,
                documents=None,
            ):
                length += len(piece)
                if length > OUTPUT_SIZE + extra:
                    raise LimitExceeded("writes more than {most:,} characters", most=OUTPUT_SIZE)
                output.append(piece)
        return "".join(output)


@contextmanager
def _translate_errors(bounds: Meter) -> Iterator[None]:
    """Run the block within `bounds`, and turn whatever it raises into one clear line."""
    tracing = sys.gettrace()
    token = meter.set(bounds)
    try:
        with enforce_deadline(bounds, FILENAME):
            yield
    except Refused as error:
        raise TemplateRefusal(_line(error)) from None
    except LimitExceeded as error:
        raise _failure(error.message) from None
    except SecurityError as error:
        raise _failure(Message("does what it may not: {error}", error=_line(error))) from None
    except jinja2.TemplateSyntaxError as error:
        raise _failure(
            Message(
                "is not valid Jinja, at line {line}: {error}", line=error.lineno, error=_line(error)
            )
        ) from None
    except jinja2.TemplateError as error:
        raise _failure(Message("failed: {error}", error=_line(error))) from None
    except RecursionError:
        raise _failure(Message("calls itself too deep")) from None
    except MemoryError:
        raise _failure(Message("asks for more memory than there is")) from None
    except Exception as error:
        raise _failure(
            Message("failed: {type}: {error}", type=type(error).__name__, error=_line(error))
        ) from error
    finally:
        meter.reset(token)
        sys.settrace(tracing)


def _failure(what: Message) -> TemplateError:
    """Return the error that the template did `what`."""
    return TemplateError("the model's chat template {what}; {way_out}", what=what, way_out=_WAY_OUT)


def _line(error: BaseException) -> str:
    """Return an error's words on one line, at most 300 characters, without control codes."""
    words = " ".join(str(error)[:1000].split())
    words = "".join(character for character in words if character.isprintable())
    return words if len(words) <= 300 else words[:299] + "…"
