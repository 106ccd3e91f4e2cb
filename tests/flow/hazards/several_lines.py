"""Statements over several lines."""

def f(*a, **k):
    return len(a)
def g(n):
    x = f(
        n,
        f(
            n
        ),
        *[
            i
            for i in range(n)
            if i
        ],
    )
    y = (
        n
        and f(1)
        or f(2)
    )
    z = {
        "a": f(1),
        "b": [
            f(j)
            for j in range(2)
        ],
    }
    with (
        open("/dev/null") as a,
        open(
            "/dev/null"
        ) as b,
    ):
        pass
    for (
        p,
        q,
    ) in [
        (1, 2),
        (3, 4),
    ]:
        n += (
            p
        )
    if (
        n
        > 3
        and y
    ):
        n = 1
    assert (
        n
    ), f(
        n
    )
    return (
        f(n)
        if n
        else
        f(1)
    )
g(2)
@(
    lambda c:
    c
)
def decorated(
    a=f(),
    *,
    b=f(1),
):
    return a
decorated()
