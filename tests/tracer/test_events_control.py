"""Where execution goes: loops, `with`, `match`, exceptions, statements over several lines."""

from tests.tracer.notation import check


def test_an_exception_that_leaves_exception_then_a_return_without_value() -> None:
    check(
        """
        def g():
            1 / 0
        def f():
            g()
        """,
        """
        c3 l4 1.c1 1.l2 1.e2!ZeroDivisionError('divisionbyzero') 1.r2^
        e4!ZeroDivisionError('divisionbyzero') r4^
        """,
    )


def test_an_exception_that_passes_a_finally_leaves_the_frame() -> None:
    check(
        """
        def f():
            try:
                raise KeyError(1)
            finally:
                x = 2
        """,
        "c1 l2 l3 e3!KeyError(1) l5 r5^",
    )


def test_an_exception_that_passes_a_with_block_leaves_the_frame() -> None:
    check(
        """
        class C:
            def __enter__(self): return 1
            def __exit__(self, *error): return None
            def __repr__(self): return "C"
        def f():
            with C() as c:
                raise KeyError(1)
        """,
        """
        c5 l6 1.c2{self=C} 1.l2 1.r2=1 l7{c=1} e7!KeyError(1) l6
        2.c3{self=C,error=(<class'KeyError'>,KeyError(1),<tracebackobject>)} 2.l3 2.r3=None r7^
        """,
    )


def test_a_bare_raise_makes_no_new_exception_event() -> None:
    check(
        """
        def f():
            try:
                [][1]
            except IndexError:
                raise
        """,
        "c1 l2 l3 e3!IndexError('listindexoutofrange') l4 l5 r5^",
    )


def test_a_raise_of_another_exception_makes_one() -> None:
    check(
        """
        def f():
            try:
                [][1]
            except IndexError as e:
                raise KeyError from e
        """,
        """
        c1 l2 l3 e3!IndexError('listindexoutofrange') l4
        l5{e=IndexError('listindexoutofrange')} e5!KeyError() r5^
        """,
    )


def test_return_none_in_a_handler_returns() -> None:
    check(
        """
        def f():
            try:
                [][1]
            except IndexError:
                return None
        """,
        "c1 l2 l3 e3!IndexError('listindexoutofrange') l4 l5 r5=None",
    )


def test_return_in_finally_drops_the_exception() -> None:
    check(
        """
        def f():
            try:
                raise KeyError(1)
            finally:
                return 5
        """,
        "c1 l2 l3 e3!KeyError(1) l5 r5=5",
    )


def test_a_handler_of_a_kind_that_does_not_fit() -> None:
    check(
        """
        def f():
            try:
                try:
                    raise KeyError(1)
                except TypeError:
                    pass
            except KeyError:
                return 2
        """,
        "c1 l2 l3 l4 e4!KeyError(1) l5 l7 l8 r8=2",
    )


def test_sys_exit_unwinds() -> None:
    check(
        """
        import sys
        def f():
            sys.exit(3)
        """,
        "c2 l3 e3!SystemExit(3) r3^",
    )


def test_while_the_header_is_visited_before_each_round() -> None:
    check(
        """
        def f():
            n = 2
            while n:
                n -= 1
            else:
                m = 0
            return m
        """,
        "c1 l2 l3{n=2} l4 l3{n=1} l4 l3{n=0} l6 l7{m=0} r7=0",
    )


def test_for_the_header_is_visited_before_each_round_and_at_the_end() -> None:
    check(
        """
        def f():
            for i in (1, 2):
                pass
            return i
        """,
        "c1 l2 l3{i=1} l2 l3{i=2} l2 l4 r4=2",
    )


def test_break_and_continue() -> None:
    check(
        """
        def f():
            for i in range(9):
                if i == 0:
                    continue
                break
            return i
        """,
        "c1 l2 l3{i=0} l4 l2 l3{i=1} l5 l6 r6=1",
    )


def test_with_visits_its_header_again_at_the_end() -> None:
    check(
        """
        class C:
            def __enter__(self): return 1
            def __exit__(self, *error): return None
            def __repr__(self): return "C"
        c = C()
        def f():
            with c as x:
                y = x
            return y
        """,
        """
        c6 l7 1.c2{self=C} 1.l2 1.r2=1 l8{x=1} l7{y=1} 2.c3{self=C,error=(None,None,None)} 2.l3
        2.r3=None l9 r9=1
        """,
    )


def test_with_over_several_lines_and_two_items() -> None:
    check(
        """
        from contextlib import nullcontext as n
        def f():
            with (
                n(1) as a,
                n(2) as b,
            ):
                c = a + b
            return c
        """,
        {
            10: "c2 l4 l3 l4 l5{a=1} l3 l5 l7{b=2} l3{c=3} l8 r8=3",
            13: "c2 l4 l5{a=1} l7{b=2} l5{c=3} l4 l8 r8=3",
        },
    )


def test_a_swallowed_exception() -> None:
    check(
        """
        from contextlib import suppress
        def f():
            with suppress(KeyError):
                {}[1]
                x = 1
            return 2
        """,
        "c2 l3 l4 e4!KeyError(1) l3 l6 r6=2",
    )


def test_match_with_a_guard() -> None:
    check(
        """
        def f():
            match (1, 2):
                case (a, 0):
                    return 0
                case (a, b) if b > a:
                    return a
        """,
        "c1 l2 l3 l5 l6{a=1,b=2} r6=1",
    )


def test_a_call_over_several_lines_comes_back_to_its_first_line() -> None:
    check(
        """
        def g(*a): return len(a)
        def f():
            return g(
                1,
                g(),
            )
        """,
        "c2 l3 l4 l5 1.c1{a=()} 1.l1 1.r1=0 l3 2.c1{a=(1,0)} 2.l1 2.r1=2 r3=2",
    )


def test_a_condition_over_several_lines() -> None:
    check(
        """
        def f():
            a, b = 1, 0
            if (a and
                    b):
                return 1
            return 2
        """,
        {
            10: "c1 l2 l3{a=1,b=0} l4 l3 l6 r6=2",
            12: "c1 l2 l3{a=1,b=0} l4 l6 r6=2",
        },
    )


def test_a_backslash() -> None:
    check(
        r"""
        def f():
            a, b = 1, 2
            return a and \
                b
        """,
        "c1 l2 l3{a=1,b=2} l4 l3 r3=2",
    )


def test_a_dict_over_several_lines() -> None:
    check(
        """
        def f():
            d = {
                "a": 1,
                "b": len("x"),
            }
            return d
        """,
        "c1 l3 l4 l2 l6{d={'a':1,'b':1}} r6={'a':1,'b':1}",
    )


def test_a_chained_comparison_over_lines() -> None:
    check(
        """
        def f():
            x = 2
            return (1
                    < x
                    < 3)
        """,
        "c1 l2 l3{x=2} l4 l3 l5 l3 r3=True",
    )


def test_a_loop_on_one_line() -> None:
    check(
        """
        def f():
            n = 2
            while n: n -= 1
            return n
        """,
        "c1 l2 l3{n=2} l3{n=1} l4{n=0} r4=0",
    )


def test_an_assert_with_a_message() -> None:
    check(
        """
        def f():
            x = 1
            assert x > 2, f"{x}"
        """,
        "c1 l2 l3{x=1} e3!AssertionError('1') r3^",
    )


def test_an_f_string_over_lines() -> None:
    check(
        """
        def f():
            x = 1
            return (
                f"{x}"
                f"{x + 1}"
            )
        """,
        "c1 l2 l4{x=1} l5 l4 l3 r3='12'",
    )


def test_a_finally_on_the_way_out_of_a_loop() -> None:
    check(
        """
        def f():
            for i in (1, 2):
                try:
                    continue
                finally:
                    j = i
            return j
        """,
        "c1 l2 l3{i=1} l4 l6 l2{j=1} l3{i=2} l4 l6 l2{j=2} l7 r7=2",
    )


def test_the_else_of_a_try() -> None:
    check(
        """
        def f():
            try:
                x = 1
            except KeyError:
                x = 2
            else:
                x = 3
            return x
        """,
        "c1 l2 l3 l7{x=1} l8{x=3} r8=3",
    )
