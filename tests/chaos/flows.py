"""Flows whose every step is a call that can be counted."""

EACH = """\
inputs:
  base: {type: string}
  count: {type: integer}
steps:
  - id: before
    compute: http_request
    with: {url: "${inputs.base}/before"}
  - id: items
    for_each: ${range(inputs.count)}
    concurrency: 4
    compute: http_request
    with: {url: "${inputs.base}/items/${item}"}
  - id: after
    compute: http_request
    with: {url: "${inputs.base}/after"}
output: ${steps.items.map(one, one.body.asked)}
"""

TWO_STEPS = """\
inputs:
  base: {type: string}
steps:
  - id: first
    compute: http_request
    with: {url: "${inputs.base}/first"}
  - id: pause
    wait: 2s
  - id: second
    compute: http_request
    with: {url: "${inputs.base}/second"}
output: ${steps.second.body.asked}
"""

PAIRS = """\
inputs:
  base: {type: string}
  count: {type: integer}
steps:
  - id: before
    compute: http_request
    with: {url: "${inputs.base}/before"}
  - id: pairs
    for_each: ${range(inputs.count)}
    concurrency: 2
    steps:
      - id: left
        compute: http_request
        with: {url: "${inputs.base}/left/${item}"}
      - id: right
        compute: http_request
        with: {url: "${inputs.base}/right/${item}"}
output: ${size(steps.pairs)}
"""

SLOW = """\
inputs:
  base: {type: string}
steps:
  - id: quick
    compute: http_request
    with: {url: "${inputs.base}/quick"}
  - id: slow
    compute: http_request
    with: {url: "${inputs.base}/slow", timeout: 20}
  - id: never
    compute: http_request
    with: {url: "${inputs.base}/never"}
"""

ONE_BY_ONE = """\
inputs:
  base: {type: string}
  count: {type: integer}
steps:
  - id: items
    for_each: ${range(inputs.count)}
    concurrency: 1
    compute: http_request
    with: {url: "${inputs.base}/items/${item}"}
output: ${steps.items.map(one, one.body.asked)}
"""

# Many small steps to an item make many small batches.
NOTES = "".join(f"      - {{id: note_{n}, set: {{note: '${{item + {n}}}'}}}}\n" for n in range(10))
IN_BATCHES = (
    """\
inputs:
  base: {type: string}
  count: {type: integer}
steps:
  - id: items
    for_each: ${range(inputs.count)}
    concurrency: 10
    steps:
"""
    + NOTES
    + """\
      - id: asked
        compute: http_request
        with: {url: "${inputs.base}/items/${item}"}
output: ${steps.items.map(one, one.body.asked)}
"""
)

PARENT = """\
inputs:
  base: {type: string}
steps:
  - id: whole
    skill: %(whole)s
    with: {base: "${inputs.base}/whole", count: 3}
  - id: broken
    skill: %(broken)s
    with: {base: "${inputs.base}/broken", count: 10}
output: ${[steps.whole, steps.broken]}
"""

ECHOES = """\
inputs:
  count: {type: integer}
steps:
  - id: items
    for_each: ${range(inputs.count)}
    concurrency: 100
    compute: echo
    with: {value: "${item}"}
  - id: total
    compute: echo
    with: {value: "${sum(steps.items)}"}
output: {sum: "${steps.total}", in_order: "${steps.items == range(inputs.count)}"}
"""

ECHO = """\
inputs:
  value: {}
steps:
  - id: said
    compute: echo
    with: {value: "${inputs.value}"}
"""

WITH_SECRET = """\
inputs:
  base: {type: string}
steps:
  - id: first
    compute: http_request
    with: {url: "${inputs.base}/first"}
  - id: secret
    compute: http_request
    with: {method: POST, url: "${inputs.base}/secret", headers: {X-Token: "${secret.token}"}}
  - id: done
    compute: http_request
    with: {url: "${inputs.base}/done"}
output: ${steps.done.body.asked}
"""
