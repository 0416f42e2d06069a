from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from core.expression import ExpressionFault, Meter, Reference
from core.template import SecretPart, SecretUse, TemplateFault, compile_template

SCOPE: dict[str, Any] = {
    "n": 3,
    "whole": 2.0,
    "half": 0.5,
    "yes": True,
    "nothing": None,
    "text": "a ${n} b",
    "list": [1, 2.0, "x", None],
    "map": {"b": 1, "a": {"c": True}},
    "rows": [{"id": 1}, {"id": 2}],
}


def rendered(value: Any) -> Any:
    return compile_template(value).render(SCOPE, Meter()).value


VALUES: list[tuple[Any, Any]] = [
    ("plain", "plain"),
    ("", ""),
    (None, None),
    (7, 7),
    ("${n}", 3),
    ("${whole}", 2.0),
    ("${list}", [1, 2.0, "x", None]),
    ("${nothing}", None),
    ("${missing.x}", None),
    ("${rows.map(r, r.id)}", [1, 2]),
    ("${ {'a': {'b': n}} }", {"a": {"b": 3}}),
    ("${{'a': {'b': n}}.a}", {"b": 3}),
    ("${timestamp(0)}", "1970-01-01T00:00:00Z"),
    (" ${n}", " 3"),
    ("${n}\n", "3\n"),
    ("${n}${n}", "33"),
    ("n=${n}, w=${whole}, h=${half}", "n=3, w=2, h=0.5"),
    ("<${nothing}> <${yes}> <${missing}>", "<> <true> <>"),
    ("see ${list} and ${map}", 'see [1,2,"x",null] and {"b":1,"a":{"c":true}}'),
    ("${text}!", "a ${n} b!"),
    ("${'}'}", "}"),
    ("x${\"}\" + '${' + '{'}x", "x}${{x"),
    ("${r'\\'}.", "\\."),
    ("${'\\'}'}.", "'}."),
    ("$${n}", "${n}"),
    ("a $${n} ${n} $${", "a ${n} 3 ${"),
    ("$$${n}", "$${n}"),
    ("$ {n} {n} $n $", "$ {n} {n} $n $"),
    ("costs $${n} or ${n}$", "costs ${n} or 3$"),
    ({"a": ["${n}", {"b": "x${n}"}], "${n}": "key"}, {"a": [3, {"b": "x3"}], "${n}": "key"}),
]


@pytest.mark.parametrize(("value", "wanted"), VALUES, ids=[str(value) for value, _ in VALUES])
def test_a_template_renders_as_the_table_says(value: Any, wanted: Any) -> None:
    assert repr(rendered(value)) == repr(wanted)


@pytest.mark.parametrize("value", ["plain", "$${n}", 7, None, [], {"a": ["b", 1]}])
def test_a_template_without_expressions_is_constant(value: Any) -> None:
    template = compile_template(value)
    assert template.constant
    assert (template.references, template.secrets) == ((), ())


FAULTS: list[tuple[Any, str, int | None, str]] = [
    ("${", "", 0, "never closed"),
    ("ab ${n", "", 3, "never closed"),
    ("ab ${'}", "", 5, "this text is never closed"),
    ("${}", "", 2, "there is no expression"),
    ("ab ${n +} c", "", 8, "ends too early"),
    ("ab ${sise(n)}", "", 5, 'did you mean "size"?'),
    ("${n} ${HOME:-x}", "", 11, "is not expected here"),
    ({"a/b": ["x", {"~": "${1 +}"}]}, "/a~1b/1/~0", 5, "ends too early"),
    ({1: "${}"}, "/1", 2, "there is no expression"),
    ("${secret}", "", 2, "secrets can only be written as ${secret.name}"),
    ("${secret.a.b}", "", 2, "secrets can only be written as ${secret.name}"),
    ("${secret['a']}", "", 2, "secrets can only be written as ${secret.name}"),
    ("x ${'y' + secret.a}", "", 10, "secrets can only be written as ${secret.name}"),
    ("${" + "1+" * 2_000 + "1}", "", 2, "at most 4,000 characters"),
    ("${n}" + "x" * 100_000, "", 100_000, "at most 100,000 characters"),
    (["${n}" * 600, "${n}" * 600], "/1", 1_600, "more than 1,000 expressions"),
]


@pytest.mark.parametrize(
    ("value", "pointer", "position", "words"), FAULTS, ids=[str(row[0])[:30] for row in FAULTS]
)
def test_a_fault_says_where_in_the_value_it_is(
    value: Any, pointer: str, position: int | None, words: str
) -> None:
    with pytest.raises(TemplateFault) as caught:
        compile_template(value)
    assert (caught.value.pointer, caught.value.fault.position) == (pointer, position)
    assert words in str(caught.value)


def test_values_nested_too_deeply_are_refused() -> None:
    value: Any = "${n}"
    for _ in range(200):
        value = [value]
    with pytest.raises(TemplateFault, match="nested more than 50 levels deep"):
        compile_template(value)


def test_a_long_text_without_expressions_has_no_limit() -> None:
    text = "x{}$" * 100_000
    assert rendered(text) == text


def test_references_say_in_which_string_and_where() -> None:
    template = compile_template({"a": "x ${steps.one.id} ${inputs.n}", "b": ["${vars.x[n]}"]})
    assert template.references == (
        Reference(("steps", "one", "id"), 4, "/a"),
        Reference(("inputs", "n"), 20, "/a"),
        Reference(("vars", "x"), 2, "/b/0"),
        Reference(("n",), 9, "/b/0"),
    )


def test_a_secret_is_named_and_never_read() -> None:
    template = compile_template(
        {
            "headers": {"a/b": "Bearer ${secret.token}", "c": "${ secret.other }"},
            "list": ["${n}-${secret.token}${secret.other}/${text}", "${n}"],
        }
    )
    assert not template.constant
    assert template.secrets == ("token", "other")
    assert [reference.path for reference in template.references] == [("n",), ("text",), ("n",)]
    rendering = template.render({**SCOPE, "secret": {"token": "in the clear"}}, Meter())
    assert rendering.value == {
        "headers": {"a/b": "Bearer ***", "c": "***"},
        "list": ["3-******/a ${n} b", 3],
    }
    token, other = SecretPart(secret="token"), SecretPart(secret="other")
    assert rendering.secrets == (
        SecretUse(pointer="/headers/a~1b", parts=("Bearer ", token)),
        SecretUse(pointer="/headers/c", parts=(other,)),
        SecretUse(pointer="/list/0", parts=("3-", token, other, "/a ${n} b")),
    )


def test_the_text_of_a_secret_in_data_names_no_secret() -> None:
    scope = {"text": "${secret.token}"}
    rendering = compile_template({"a": "${text}", "b": "x ${text}"}).render(scope, Meter())
    assert rendering.value == {"a": "${secret.token}", "b": "x ${secret.token}"}
    assert rendering.secrets == ()


def test_uses_of_secrets_travel_as_json() -> None:
    use = SecretUse(pointer="/a", parts=("x ", SecretPart(secret="token"), ""))
    adapter = TypeAdapter(tuple[SecretUse, ...])
    assert adapter.validate_json(adapter.dump_json((use,))) == (use,)


def test_a_fault_while_rendering_names_the_expression() -> None:
    template = compile_template({"a": "x ${n + text}"})
    with pytest.raises(ExpressionFault) as caught:
        template.render(SCOPE, Meter())
    assert str(caught.value) == '"+" cannot take int and string in ${n + text} (at character 3)'
    assert caught.value.kind == "evaluation"


def test_one_meter_pays_for_all_expressions_of_a_template() -> None:
    template = compile_template(["${range(300)}"] * 3)
    with pytest.raises(ExpressionFault) as caught:
        template.render(SCOPE, Meter(limit=2_000))
    assert caught.value.kind == "fuel"


def test_rendering_twice_shares_nothing_that_was_built() -> None:
    template = compile_template({"a": ["${n}", "x"], "b": {"c": "${list.map(i, i)}"}})
    first, second = (template.render(SCOPE, Meter()).value for _ in range(2))
    first["a"].append("more")
    first["b"]["c"].clear()
    assert second == {"a": [3, "x"], "b": {"c": [1, 2.0, "x", None]}}
