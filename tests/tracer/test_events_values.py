"""What a line changes: variables, arguments, closures, class bodies, comprehensions."""

from tests.tracer.notation import check


def test_a_line_shows_the_state_before_it_runs() -> None:
    check(
        """
        def f():
            x = 1
            x += 1
            return x
        """,
        "c1 l2 l3{x=1} l4{x=2} r4=2",
    )


def test_an_unchanged_value_is_not_listed_again() -> None:
    check(
        """
        def f():
            x = [1]
            x[0] = 1
            x.append(2)
            pass
        """,
        "c1 l2 l3{x=[1]} l4 l5{x=[1,2]} r5=None",
    )


def test_arguments_are_there_at_the_call_in_their_order() -> None:
    check(
        """
        def g(b, /, a=2, *rest, k, **named):
            pass
        def f():
            g(1, k=3, z=4)
        """,
        "c3 l4 1.c1{b=1,a=2,k=3,rest=(),named={'z':4}} 1.l2 1.r2=None r4=None",
    )


def test_an_argument_that_a_closure_holds_keeps_its_place() -> None:
    check(
        """
        def g(x, y):
            return lambda: x
        def f():
            g(1, 2)
        """,
        "c3 l4 1.c1{x=1,y=2} 1.l2 1.r2=<functiong.<locals>.<lambda>> r4=None",
    )


def test_a_tuple_target_binds_several_names_in_one_line() -> None:
    check(
        """
        def f():
            b, (a, *c) = 1, (2, 3)
            return
        """,
        "c1 l2 l3{b=1,a=2,c=[3]} r3=None",
    )


def test_a_name_that_is_deleted_is_unbound_and_may_come_back() -> None:
    check(
        """
        def f():
            x = 1
            del x
            x = 2
            return x
        """,
        "c1 l2 l3{x=1} l4{-x} l5{x=2} r5=2",
    )


def test_the_handlers_name_is_unbound_after_the_handler() -> None:
    check(
        """
        def f():
            try:
                raise KeyError("k")
            except KeyError as e:
                pass
            return 1
        """,
        "c1 l2 l3 e3!KeyError('k') l4 l5{e=KeyError('k')} l6{-e} r6=1",
    )


def test_a_list_comprehension() -> None:
    check(
        """
        def f():
            return [x for x in (1, 2) if x > 1]
        """,
        {
            10: "c1 l2 1.c2{.0=<tuple_iteratorobject>} 1.l2 1.l2{x=1} 1.l2{x=2} 1.r2=[2] r2=[2]",
            12: "c1 l2 l2{x=1} l2{x=2} r2=[2]",
        },
    )


def test_a_comprehension_whose_target_hides_a_variable() -> None:
    check(
        """
        def f():
            x = 5
            y = [x for x in (1,)]
            return x, y
        """,
        {
            10: """
            c1 l2 l3{x=5} 1.c3{.0=<tuple_iteratorobject>} 1.l3 1.l3{x=1} 1.r3=[1] l4{y=[1]}
            r4=(5,[1])
            """,
            12: "c1 l2 l3{x=5} l3{x=1} l4{x=5,y=[1]} r4=(5,[1])",
        },
    )


def test_a_comprehension_over_three_lines() -> None:
    check(
        """
        def f():
            y = [
                x
                for x in (1, 2)
            ]
            return y
        """,
        {
            10: """
            c1 l2 l4 l2 1.c2{.0=<tuple_iteratorobject>} 1.l2 1.l4 1.l3{x=1} 1.l2 1.l2 1.l4
            1.l3{x=2} 1.l2 1.l2 1.r2=[1,2] l6{y=[1,2]} r6=[1,2]
            """,
            12: "c1 l4 l2 l4 l3{x=1} l2 l4 l3{x=2} l2 l6{y=[1,2],-x} r6=[1,2]",
            13: "c1 l4 l2 l4 l3{x=1} l4 l3{x=2} l4 l2 l6{y=[1,2],-x} r6=[1,2]",
        },
    )


def test_a_set_and_a_dict_comprehension() -> None:
    check(
        """
        def f():
            a = {x for x in (1,)}
            b = {x: y for x, y in [(1, 2)]}
            return a, b
        """,
        {
            10: """
            c1 l2 1.c2{.0=<tuple_iteratorobject>} 1.l2 1.l2{x=1} 1.r2={1} l3{a={1}}
            2.c3{.0=<tuple_iteratorobject>} 2.l3 2.l3{x=1,y=2} 2.r3={1:2} l4{b={1:2}}
            r4=({1},{1:2})
            """,
            12: "c1 l2 l2{x=1} l3{a={1},-x} l3{x=1,y=2} l4{b={1:2},-x,-y} r4=({1},{1:2})",
        },
    )


def test_a_closure_the_free_variable_is_a_local() -> None:
    check(
        """
        def f():
            n = 1
            def g():
                nonlocal n
                n += 1
                return n
            return g() + n
        """,
        "c1 l2 l3{n=1} l7{g=<functionf.<locals>.g>} 1.c3{n=1} 1.l5 1.l6{n=2} 1.r6=2 r7=4",
    )


def test_statements_on_one_line_are_one_event() -> None:
    check(
        """
        def f():
            a = 1; b = 2
            if a: b = 3
            return b
        """,
        "c1 l2 l3{a=1,b=2} l4{b=3} r4=3",
    )


def test_docstring_constants_and_pass() -> None:
    check(
        '''
        def f():
            """Text."""
            1
            ...
            pass
        ''',
        "c1 l3 l4 l5 r5=None",
    )


def test_an_empty_function_returns_none_from_its_headers_line() -> None:
    check(
        """
        def f(): pass
        """,
        "c1 l1 r1=None",
    )


def test_global_declarations_and_annotations_without_a_value_make_no_event() -> None:
    check(
        """
        def f():
            global g
            x: int
            y: int = 1
            return y
        """,
        "c1 l4 l5{y=1} r5=1",
    )


def test_values_that_are_equal_but_differ() -> None:
    check(
        """
        def f():
            x = 1
            x = True
            x = 1.0
            x = "1.0"
            return x
        """,
        "c1 l2 l3{x=1} l4{x=True} l5{x=1.0} l6{x='1.0'} r6='1.0'",
    )
