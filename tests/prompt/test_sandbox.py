"""A model file can come from anyone. Its template must not reach, loop or grow."""

import sys
import threading
import time

import pytest

from glasschat.errors import TemplateError
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.prompt import ChatTemplate, user

DOUBLE = "{% set n = namespace(x=SEED) %}{% for i in range(60) %}{% set n.x = STEP %}{% endfor %}"


def doubling(seed: str, step: str, end: str = "{{ n.x }}") -> str:
    return DOUBLE.replace("SEED", seed).replace("STEP", step) + end


def failure(tokenizer: LlamaTokenizer, source: str) -> str:
    start = time.monotonic()
    with pytest.raises(TemplateError) as caught:
        ChatTemplate(tokenizer, source).encode([user("Hello")])
    # Two seconds, and as much again for a busy machine.
    assert time.monotonic() - start < 4
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ messages | map(attribute='__class__') | list }}",
        "{{ raise_exception.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'content': 'x'}) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{x.__class__}'.format_map({'x': 1}) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a'.encode() }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{{ raise_exception }}",
        "{{ messages[0].items() }}",
        "{{ [1] | tojson(indent=1000000000) }}",
        "{{ strftime_now('%1000000000d') }}",
    ],
)
def test_escapes_are_refused(smollm: LlamaTokenizer, source: str) -> None:
    message = failure(smollm, source)
    assert "what it may not" in message or "leaves out" in message


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("{% for i in range(10**9) %}x{% endfor %}", "range"),
        ("{% for i in range(10**30) %}x{% endfor %}", "range"),
        ("{{ range(-(10**12), 5)|list }}", "range"),
        ("{{ 'a' * 10**10 }}", "value"),
        ("{{ 10**10 * 'a' }}", "value"),
        ("{{ [1] * 10**10 }}", "value"),
        ("{{ ['a' * 900000] * 900000 }}", "value"),
        ("{{ 9**9**9**9**9**9 }}", "bits"),
        ("{{ 2 ** (10**9) }}", "bits"),
        ("{{ '%1000000000d' % 1 }}", "pads"),
        ("{{ '%*d' % (1000000000, 1) }}", "pads"),
        ("{{ '%1000000000s' | format('x') }}", "pads"),
        ("{{ ('a' * 9000) | replace('a', 'b' * 9000) }}", "value"),
        ("{{ ('a' * 9000).replace('a', 'b' * 9000) }}", "value"),
        ("{{ ('a' * 9000).join('b' * 9000) }}", "value"),
        ("{{ ('b' * 9000) | join('a' * 9000) }}", "value"),
        ("{{ range(90000) | map('default', 'a' * 900000) | join }}", "characters"),
        ("{{ range(90000) | map(attribute='x', default='a' * 900000) | list }}", "value"),
        ("{{ ('\\n' * 900000) | indent(1000000) }}", "indents"),
        (doubling("'a'", "n.x ~ n.x"), "value"),
        (doubling("'a'", "n.x + n.x"), "value"),
        (doubling("[1]", "n.x + n.x"), "value"),
        (doubling("[1]", "[n.x, n.x]"), "value"),
        (doubling("[1]", "(n.x, n.x)"), "value"),
        (doubling("[1]", "{'a': n.x, 'b': n.x}"), "value"),
        (doubling("[1]", "dict(a=n.x, b=n.x)"), "value"),
        (doubling("namespace()", "namespace(a=n.x, b=n.x)"), "value"),
        ("{% set x %}{% for i in range(90000) %}{{ 'a'*900 }}{% endfor %}{% endset %}", "its way"),
        ("{% for i in range(90000) %}{{ 'a' * 900 }}{% endfor %}", "writes more"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deep"),
        ("{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}", "too deep"),
        ("{{ " + "(" * 9000 + ")" * 9000 + " }}", "too deep"),
        ("{{ " + "-" * 9000 + "1 }}", "too deep"),
        ("{% include '/etc/passwd' %}", "failed"),
        ("{% import 'os' as os %}", "failed"),
        ("{% extends 'x' %}", "failed"),
        ("{{ messages | nofilter }}", "nofilter"),
        ("{{ 'a' | center(1000000000) }}", "center"),
        ("{% for %}", "line 1"),
        ("{{ nothing.at.all }}", "nothing"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("x" * 300_000, "300,000 characters"),
        ("{{ raise_exception('no\\n\\x1b[31mway' ~ 'y' * 5000) }}", "no [31mway"),
    ],
)  # fmt: skip
def test_growth_and_failure_end_in_one_line(
    smollm: LlamaTokenizer, source: str, cause: str
) -> None:
    assert cause in failure(smollm, source)


def test_loop_ends_by_the_clock_and_leaves_nothing_running(smollm: LlamaTokenizer) -> None:
    nested = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}"
    threads = threading.active_count()
    message = failure(smollm, nested + "{{ messages[0].content }}")
    assert "runs longer than 2 s" in message
    assert threading.active_count() == threads
    assert sys.gettrace() is None or "coverage" in repr(sys.gettrace())


def test_many_large_values_are_too_much_together(smollm: LlamaTokenizer) -> None:
    copies = "".join(f"{{% set x{i} = s ~ '{i}' %}}" for i in range(200))
    message = failure(smollm, "{% set s = 'a' * 900000 %}" + copies + "{{ messages[0].content }}")
    assert "128,000,000" in message


def test_ordinary_means_still_work(smollm: LlamaTokenizer) -> None:
    source = (
        "{%- macro show(m) -%}{{ m.role | upper }}:{{ m['content'] }}{%- endmacro -%}"
        "{%- set ns = namespace(n=0) -%}"
        "{%- for m in messages[::-1] -%}"
        "{%- if loop.index > 5 %}{% break %}{% endif -%}"
        "{%- set ns.n = ns.n + 1 -%}{%- generation -%}{{ show(m) }}{%- endgeneration -%}"
        "{%- endfor -%}"
        "{{- ns.n ~ {'a': [1, '<é>']} | tojson ~ ('%s-%d' % ('x', 3)) ~ range(3) | join(',') -}}"
        "{{- tools is none and documents is none -}}{{ strftime_now('%Y') | length }}"
    )
    ids = ChatTemplate(smollm, source).encode([user("Hello")]).ids
    text = b"".join(map(smollm.token_bytes, ids)).decode()
    assert text == 'USER:Hello1{"a": [1, "<é>"]}x-30,1,2True4'
