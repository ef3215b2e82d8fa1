"""A class becomes a stage with settings, or is refused in a line that says what to mend."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from glasschat.errors import InvalidStage, ParameterError, ReplyFailed, StageNotHere
from glasschat.sampling import (
    DEFAULT_ORDER,
    CustomStage,
    SamplingParams,
    StageClasses,
    StageContext,
    TokenHistory,
    build_stages,
    load_stages,
)
from tests.support.own_stages import Case, Half, Letters, Wrong

CLASSES = StageClasses.of([Letters, Half, Wrong])
LETTERS = CLASSES.get("letters")
CONTEXT = StageContext(TokenHistory([1]), frozenset({3}))


def ready(maker: Any) -> Any:
    """A class with what every stage has, so that one thing alone is wrong."""
    maker.__annotations__ |= {"name": ClassVar[str], "kind": ClassVar[str]}
    for name, value in {"name": "mine", "kind": "warper"}.items():
        if name not in vars(maker):
            setattr(maker, name, value)
    if "__call__" not in vars(maker):
        maker.__call__ = lambda self, scores, context: scores
    return dataclass(frozen=True)(maker)


def test_its_fields_are_its_settings_in_their_own_words() -> None:
    assert (LETTERS.name, LETTERS.kind, LETTERS.label) == (
        "letters",
        "processor",
        "Fewer *letters*",
    )
    assert LETTERS.help == "Weakens the letters of one case, where tokens are bytes."
    by, case, end, spare, at_least, spaces = LETTERS.settings
    assert (by.kind, by.default, by.label, by.help) == ("float", 2.0, "How much", "In logits.")
    assert (by.low, by.high, by.step) == (0, 50, 0.5)
    assert (case.kind, case.default, case.choices) == ("choice", "LOWER", ("LOWER", "UPPER"))
    assert (end.default, end.choices) == ("as it is", ("never", "as it is"))
    assert (spare.kind, at_least.kind, spaces.kind) == ("str", "int", "bool")
    assert at_least.label == "At least"
    assert CLASSES.get("half").settings == () and CLASSES.get("half").label == "Half"


def test_what_is_asked_for_is_checked_field_by_field() -> None:
    asked = LETTERS.configure({"by": 3, "case": "UPPER"})
    assert asked.values == {
        "by": 3.0, "case": "UPPER", "end": "as it is", "spare": "", "at_least": 0, "spaces": False,
    }  # fmt: skip
    assert hash(asked) == hash(LETTERS.configure({"case": "UPPER", "by": 3.0}))
    built = LETTERS.build(asked)
    row = np.zeros(256, np.float32)
    assert built(row, CONTEXT)[ord("A")] == -3.0
    assert LETTERS.build(asked) == built != LETTERS.build(LETTERS.configure({}))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": 51}, "letters.by must be a number between 0 and 50, and 51 is not"),
        ({"by": True}, "letters.by must be a number between 0 and 50, and True is not"),
        ({"by": float("nan")}, "letters.by must be a number between"),
        ({"case": "LOUD"}, "letters.case must be one of LOWER, UPPER, and 'LOUD' is not"),
        ({"at_least": 1.5}, "letters.at_least must be a whole number of at least 0"),
        ({"at_least": 2**60}, "letters.at_least must be a whole number"),
        ({"spare": "a" * 1001}, "letters.spare must be a text of at most 1,000 characters"),
        ({"spaces": 1}, "letters.spaces must be true or false"),
        ({"case": Case.UPPER}, "letters.case must be one of"),
        ({"volume": 1}, "letters must be set by by, case, end, spare, at_least, spaces"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        LETTERS.configure(settings)
    assert said in str(caught.value)


def test_what_is_typed_is_read_in_the_fields_type() -> None:
    by, case, _, spare, at_least, spaces = LETTERS.settings
    assert (by.read("1e1"), case.read("UPPER"), spare.read("7"), at_least.read("7")) == (
        10.0, "UPPER", "7", 7,
    )  # fmt: skip
    assert [spaces.read(word) for word in ("on", "true", "no")] == [True, True, False]
    for setting, text in ((by, "much"), (at_least, "1.0"), (spaces, "1")):
        with pytest.raises(ParameterError, match=f"{setting.name} must be"):
            setting.read(text)


def test_settings_of_an_older_class_fit_as_far_as_they_can() -> None:
    fitting = LETTERS.usable_settings({"by": 99, "case": "UPPER", "gone": 1})
    assert (fitting["by"], fitting["case"], "gone" in fitting) == (2.0, "UPPER", False)


class _Plain:
    pass


@dataclass
class _Thawed:
    name: ClassVar[str] = "thawed"
    kind: ClassVar[str] = "warper"


def refusals() -> dict[str, tuple[Any, str]]:
    def fields(**annotated: Any) -> Any:
        values = {name: value for name, (_, value) in annotated.items() if value is not None}
        types = {name: kind for name, (kind, _) in annotated.items()}
        return ready(type("Mine", (), {"__annotations__": types, **values}))

    def with_(**members: Any) -> Any:
        return ready(type("Mine", (), {"__annotations__": {}, **members}))

    def refuse(self: Any) -> None:
        raise ValueError("not today")

    def meta(kind: Any, default: Any, **metadata: Any) -> Any:
        return fields(x=(kind, field(default=default, metadata=metadata)))

    return {
        "a class that is none": (_Plain, "is no dataclass"),
        "no class at all": (lambda: None, "is no dataclass"),
        "thawed": (_Thawed, "not frozen"),
        "no default": (fields(x=(int, None)), "the field x of the stage Mine has no default"),
        "no widget": (fields(x=(list[int], field(default_factory=list))), "no widget: use bool"),
        "an array": (fields(x=(np.ndarray, field(default=None))), "no widget"),
        "not its type": (fields(x=(int, 1.5)), "its default 1.5 is not a whole number"),
        "none": (fields(x=(str, field(default=None))), "its default None is not a text"),
        "a field's name": (fields(größe=(int, 1)), "needs a name of letters"),
        "a type unknown": (fields(x=("Nowhere", 1)), "types that cannot be read: NameError"),
        "a word unknown": (
            meta(int, 1, lable="X"),
            "metadata 'lable', and a int takes label, help",
        ),
        "ends of a text": (meta(str, "", min=1), "metadata 'min', and a str takes label, help"),
        "half a number": (meta(int, 1, step=0.5), "metadata 'step' that is no such thing: 0.5"),
        "no step": (meta(float, 1.0, step=0), "metadata 'step' that is no such thing: 0"),
        "turned ends": (meta(int, 1, min=2, max=1), "min that is not below its max"),
        "beyond its end": (meta(int, 3, max=2), "its default 3 is not a whole number of at most 2"),
        "a built-in's name": (with_(name="top_k"), "the name top_k, which is one of glasschat's"),
        "a setting's name": (with_(name="seed"), "the name seed, which is one of glasschat's own"),
        "a record's name": (with_(name="grammar"), "the name grammar, which is one of glasschat's"),
        "a long name": (with_(name="x" * 41), "letters, digits and _, at most 40"),
        "no text": (with_(name=7), "the name 7"),
        "a third kind": (with_(kind="filter"), "the kind 'filter': processor or warper"),
        "no call": (with_(__call__=None), "cannot be called with scores and context"),
        "too few": (with_(__call__=lambda self, scores: scores), "cannot be called with scores"),
        "it will not": (
            with_(__post_init__=refuse),
            "made with its defaults: ValueError: not today",
        ),
    }


@pytest.mark.parametrize("case", refusals())
def test_a_class_that_can_be_no_stage_is_refused_with_what_to_mend(case: str) -> None:
    maker, said = refusals()[case]
    with pytest.raises(InvalidStage) as caught:
        StageClasses.of([maker])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidStage, match="two stages are named half"):
        load_stages(["tests.support.own_stages:Half"] * 2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere:Stage", "no module nowhere in this folder"),
        ("glasschat.nowhere:Stage", "no module glasschat.nowhere"),
        ("tests.support.own_stages:Nobody", "tests.support.own_stages has no Nobody"),
        ("tests.support.own_stages:Case", "is no dataclass"),
        (":Half", "has to be named as module:name"),
        ("../x:Half", "has to be named as module:name"),
        ("half", "no installed package offers a stage 'half' (offered: none)"),
    ],
)
def test_what_is_not_there_is_said(name: str, said: str) -> None:
    with pytest.raises(InvalidStage) as caught:
        load_stages([name])
    assert said in str(caught.value)


def test_settings_that_do_not_go_together_are_refused_before_a_reply_begins() -> None:
    class Mine:
        low: int = 1
        high: int = 2

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    classes = StageClasses.of([ready(Mine)])
    with pytest.raises(
        ParameterError, match=r"go together \(ValueError: low is above high \(test_"
    ):
        classes.build(classes.get("mine").configure({"low": 3}))


# --- where they stand -----------------------------------------------------------------


def params(*names: str, **settings: Any) -> SamplingParams:
    return SamplingParams(own_stages=CLASSES.configure({name: {} for name in names}), **settings)


def test_a_processor_runs_behind_the_processors_and_a_warper_at_the_end() -> None:
    order = list(DEFAULT_ORDER)
    order.insert(order.index("temperature"), "letters")
    assert params("half", "letters").stages == (*order, "half")
    two = params("letters", "wrong").stages
    assert two.index("letters") + 1 == two.index("wrong") == two.index("temperature") - 1


def test_they_stand_where_the_order_says() -> None:
    order = ("half", *DEFAULT_ORDER)
    assert params("half", stages=order).stages == order
    names = [s.name for s in build_stages(params("half", "letters", stages=order), CLASSES.build)]
    assert names == ["half", "repetition_penalty", "letters", "temperature", "top_p"]
    greedy = build_stages(params("half", "letters", temperature=0.0), CLASSES.build)
    assert [s.name for s in greedy] == ["repetition_penalty", "letters"]


def test_without_one_the_order_is_whole_again() -> None:
    assert params("half", "letters").without("half") == params("letters")
    assert params("half").without("half") == SamplingParams()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"own_stages": "half"}, "own_stages must be at most 16 stages"),
        ({"own_stages": ["half"]}, "own_stages must be"),
        ({"own_stages": (CustomStage("half", "warper"),) * 2}, "each once"),
        ({"own_stages": (CustomStage("top_p", "warper"),)}, "by a name of its own"),
        ({"stages": (*DEFAULT_ORDER, "half")}, "stages must be each of logit_bias"),
        (
            {"own_stages": (CustomStage("half", "warper"),), "stages": ("half",)},
            "xtc, half once",
        ),
    ],
)
def test_stages_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        SamplingParams(**settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"kind": "filter"},
        {"settings": (("x", None),)},
        {"settings": (("x", float("inf")),)},
        {"settings": (("x", 2**60),)},
        {"settings": (("", 1),)},
        {"settings": tuple((f"x{n}", n) for n in range(51))},
    ],
)
def test_what_no_stage_is_kept_with_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        CustomStage(**({"name": "half", "kind": "warper"} | wrong))


def test_one_that_is_not_here_is_named() -> None:
    with pytest.raises(StageNotHere, match="the stage gone is not here: turn it off, or start"):
        build_stages(SamplingParams(own_stages=(CustomStage("gone", "warper"),)), CLASSES.build)
    with pytest.raises(StageNotHere, match="half"):
        build_stages(params("half"))
    with pytest.raises(ParameterError, match="the kind of half must be warper"):
        CLASSES.build(CustomStage("half", "processor"))


# --- the guard ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", "the stage wrong failed: KeyError: 'no such\\\\nthing' (own_stages.py, line "),
        ("exit", "the stage wrong failed: SystemExit: 3 (own_stages.py, line "),
        ("write", "the stage wrong failed: ValueError: assignment destination is read-only"),
        ("shape", "the stage wrong returned float32 [259], and it was given float32 [260]"),
        ("type", "the stage wrong returned float64 [260], and it was given float32 [260]"),
        ("list", "the stage wrong returned list and no array"),
        ("none", "the stage wrong returned NoneType and no array"),
        ("back", "the stage wrong brought back a token that was removed before it"),
    ],
)
def test_whatever_it_does_is_told_in_a_line(how: str, said: str) -> None:
    row = np.ones(260, np.float32)
    row[5] = -np.inf
    row.flags.writeable = False
    with pytest.raises(ReplyFailed) as caught:
        CLASSES.build(CLASSES.get("wrong").configure({"how": how}))(row, CONTEXT)
    assert str(caught.value).startswith(said.replace("\\\\", "\\")) and "\n" not in str(
        caught.value
    )
