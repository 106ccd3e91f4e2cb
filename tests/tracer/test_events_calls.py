"""Calls: decorators, lambdas, class bodies, callbacks, recursion, code without a file."""

from cwm_trace.tracer.interpreter import MODULE_CALL_HAS_NO_LINE
from tests.tracer.notation import check


def test_an_error_that_c_code_swallows_is_not_seen() -> None:
    check(
        """
        def f():
            return hasattr(1, "nothing"), getattr(1, "nothing", 2)
        """,
        "c1 l2 r2=(False,2)",
    )


def test_an_error_in_a_called_frame_that_c_code_swallows_is_seen_there_only() -> None:
    check(
        """
        class C:
            def __getattr__(self, name): raise AttributeError(name)
            def __repr__(self): return "C"
        def f():
            return hasattr(C(), "nothing")
        """,
        "c4 l5 1.c2{self=C,name='nothing'} 1.l2 1.e2!AttributeError('nothing') 1.r2^ r5=False",
    )


def test_iteration_over_a_class_stopiteration_in_both_frames() -> None:
    check(
        """
        class It:
            n = 0
            def __iter__(self): return self
            def __next__(self):
                self.n += 1
                if self.n > 1: raise StopIteration
                return self.n
            def __repr__(self): return f"It{self.n}"
        def f():
            for x in It():
                pass
        """,
        """
        c9 l10 1.c3{self=It0} 1.l3 1.r3=It0 2.c4{self=It0} 2.l5 2.l6{self=It1} 2.l7 2.r7=1
        l11{x=1} l10 3.c4{self=It1} 3.l5 3.l6{self=It2} 3.e6!StopIteration() 3.r6^
        e10!StopIteration() r10=None
        """,
    )


def test_a_lambda() -> None:
    check(
        """
        def f():
            g = lambda x: x + 1
            return g(1)
        """,
        "c1 l2 l3{g=<functionf.<locals>.<lambda>>} 1.c2{x=1} 1.l2 1.r2=2 r3=2",
    )


def test_a_class_body_is_a_frame() -> None:
    check(
        """
        def f():
            class A:
                x = 1
            return A.x
        """,
        {
            10: """
            c1 l2 1.c2 1.l2 1.l3{__module__='_source_',__qualname__='f.<locals>.A'} 1.r3=None
            l4{A=<class'_source_.f.<locals>.A'>} r4=1
            """,
            13: """
            c1 l2 1.c2 1.l2
            1.l3{__module__='_source_',__qualname__='f.<locals>.A',__firstlineno__=2} 1.r3=None
            l4{A=<class'_source_.f.<locals>.A'>} r4=1
            """,
        },
    )


def test_super_makes_a_class_body_return_its_cell() -> None:
    check(
        """
        def f():
            class A:
                def g(self):
                    return __class__
            return 1
        """,
        {
            10: """
            c1 l2 1.c2 1.l2 1.l3{__module__='_source_',__qualname__='f.<locals>.A'}
            1.r3=<cell:empty> l5{A=<class'_source_.f.<locals>.A'>} r5=1
            """,
            13: """
            c1 l2 1.c2 1.l2
            1.l3{__module__='_source_',__qualname__='f.<locals>.A',__firstlineno__=2}
            1.r3=<cell:empty> l5{A=<class'_source_.f.<locals>.A'>} r5=1
            """,
        },
    )


def test_a_decorated_function_the_call_is_on_the_decorators_line() -> None:
    check(
        """
        def d(g): return g
        @d
        def h():
            return 1
        def f():
            return h()
        """,
        "c5 l6 1.c2 1.l4 1.r4=1 r6=1",
    )


def test_decorators_are_evaluated_from_the_top_applied_from_the_bottom() -> None:
    check(
        """
        def f():
            def d(g): return g
            @d
            @(d)
            def h():
                pass
            return 1
        """,
        {
            10: """
            c1 l2 l3{d=<functionf.<locals>.d>} l4 l5 1.c2{g=<functionf.<locals>.h>} 1.l2
            1.r2=<functionf.<locals>.h> 2.c2{g=<functionf.<locals>.h>} 2.l2
            2.r2=<functionf.<locals>.h> l7{h=<functionf.<locals>.h>} r7=1
            """,
            11: """
            c1 l2 l3{d=<functionf.<locals>.d>} l4 l5 l4 1.c2{g=<functionf.<locals>.h>} 1.l2
            1.r2=<functionf.<locals>.h> l3 2.c2{g=<functionf.<locals>.h>} 2.l2
            2.r2=<functionf.<locals>.h> l5 l7{h=<functionf.<locals>.h>} r7=1
            """,
        },
    )


def test_a_modules_call() -> None:
    check(
        """
        x = 1
        def g(): return x
        y = g()
        class A: pass
        """,
        {
            10: "c1 l1 l2{x=1} l3 1.c2 1.l2 1.r2=1 l4{y=1} 2.c4 2.l4 2.r4=None r4=None",
            11: "c0 l1 l2{x=1} l3 1.c2 1.l2 1.r2=1 l4{y=1} 2.c4 2.l4 2.r4=None r4=None",
        },
    )


def test_recursion() -> None:
    check(
        """
        def g(n):
            return n and g(n - 1)
        def f():
            return g(1)
        """,
        {
            10: "c3 l4 1.c1{n=1} 1.l2 2.c1{n=0} 2.l2 2.r2=0 1.r2=0 r4=0",
            12: "c3 l4 1.c1{n=1} 1.l2 2.c1{n=0} 2.l2 2.r2=0 1.l2 1.r2=0 r4=0",
            13: "c3 l4 1.c1{n=1} 1.l2 2.c1{n=0} 2.l2 2.r2=0 1.r2=0 r4=0",
        },
    )


def test_code_that_is_given_to_exec_and_eval_is_the_users() -> None:
    call = "c0" if MODULE_CALL_HAS_NO_LINE else "c1"
    check(
        r"""
        def f():
            exec("a = 1\nb = 2", {})
            return eval("(lambda: 3)()")
        """,
        f"c1 l2 1.{call} 1.l1 1.l2{{a=1}} 1.r2=None l3 2.{call} 2.l1 3.c1 3.l1 3.r1=3 2.r1=3 r3=3",
    )


def test_code_of_a_dataclass_and_a_named_tuple_has_no_frames() -> None:
    check(
        """
        from dataclasses import dataclass
        from collections import namedtuple
        @dataclass
        class D:
            x: int
        T = namedtuple("T", "x")
        def f():
            return D(1), T(x=2), D(1) == D(1)
        """,
        "c7 l8 r8=(D(x=1),T(x=2),True)",
    )
