"""Generators, coroutines and asynchronous generators: a CALL on every resume, a RETURN on every yield."""

import sys

from tests.tracer.notation import check

MINOR = sys.version_info.minor


def test_a_generator_call_on_resume_return_on_yield_none_at_its_end() -> None:
    check(
        """
        def g():
            yield 1
            yield 2
        def f():
            return [*g()]
        """,
        "c4 l5 1.c1 1.l2 1.r2=1 1.c2 1.l3 1.r3=2 1.c3 1.r3=None r5=[1,2]",
    )


def test_a_yield_of_none_is_a_return_of_none() -> None:
    check(
        """
        def g():
            yield
            yield
        def f():
            return list(g())
        """,
        "c4 l5 1.c1 1.l2 1.r2=None 1.c2 1.l3 1.r3=None 1.c3 1.r3=None r5=[None,None]",
    )


def test_a_generators_own_return_value() -> None:
    check(
        """
        def g():
            yield 1
            return 2
        def f():
            x = yield_from(g())
            return list(x)
        def yield_from(it):
            got = yield from it
            yield got
        """,
        """
        c4 l5 l6{x=<generatorobjectyield_from>} 1.c7{it=<generatorobjectg>} 1.l8 2.c1 2.l2
        2.r2=1 1.r8=1 1.c8 2.c2 2.l3 2.r3=2 1.e8!StopIteration(2) 1.l9{got=2} 1.r9=2 1.c9
        1.r9=None r6=[1,2]
        """,
    )


def test_a_sent_value_is_there_at_the_next_line() -> None:
    check(
        """
        def g():
            got = yield 1
            yield got
        def f():
            it = g()
            next(it)
            return it.send(7)
        """,
        {
            10: """
            c4 l5 l6{it=<generatorobjectg>} 1.c1 1.l2 1.r2=1 l7 1.c2 1.l3{got=7} 1.r3=7 r7=7
            1.c3 1.e3!GeneratorExit() 1.r3^
            """,
            13: "c4 l5 l6{it=<generatorobjectg>} 1.c1 1.l2 1.r2=1 l7 1.c2 1.l3{got=7} 1.r3=7 r7=7",
        },
    )


def test_an_exception_thrown_in_that_the_generator_catches() -> None:
    check(
        """
        def g():
            try:
                yield 1
            except KeyError:
                yield 2
        def f():
            it = g()
            next(it)
            return it.throw(KeyError())
        """,
        """
        c6 l7 l8{it=<generatorobjectg>} 1.c1 1.l2 1.l3 1.r3=1 l9 1.c3 1.e3!KeyError() 1.l4 1.l5
        1.r5=2 r9=2 1.c5 1.e5!GeneratorExit() 1.r5^
        """,
    )


def test_an_exception_thrown_in_that_leaves_the_generator() -> None:
    check(
        """
        def g():
            yield 1
        def f():
            it = g()
            next(it)
            try:
                it.throw(KeyError("k"))
            except KeyError:
                return 3
        """,
        """
        c3 l4 l5{it=<generatorobjectg>} 1.c1 1.l2 1.r2=1 l6 l7 1.c2 1.e2!KeyError('k') 1.r2^
        e7!KeyError('k') l8 l9 r9=3
        """,
    )


def test_a_closed_generator_with_a_finally() -> None:
    check(
        """
        def g():
            try:
                yield 1
            finally:
                x = 2
        def f():
            it = g()
            next(it)
            it.close()
        """,
        """
        c6 l7 l8{it=<generatorobjectg>} 1.c1 1.l2 1.l3 1.r3=1 l9 1.c3 1.e3!GeneratorExit() 1.l5
        1.r5^ r9=None
        """,
    )


def test_a_generator_that_was_never_started() -> None:
    check(
        """
        def g():
            yield 1
        def f():
            it = g()
            it.close()
            return it
        """,
        {
            10: """
            c3 l4 l5{it=<generatorobjectg>} 1.c1 1.e1!GeneratorExit() 1.r1^ l6
            r6=<generatorobjectg>
            """,
            12: "c3 l4 l5{it=<generatorobjectg>} l6 r6=<generatorobjectg>",
        },
    )


def test_two_generators_in_turns_keep_their_own_state() -> None:
    check(
        """
        def g(n):
            while True:
                n += 1
                yield n
        def f():
            a, b = g(0), g(10)
            return next(a), next(b), next(a)
        """,
        {
            10: """
            c5 l6 l7{a=<generatorobjectg>,b=<generatorobjectg>} 1.c1{n=0} 1.l2 1.l3 1.l4{n=1}
            1.r4=1 2.c1{n=10} 2.l2 2.l3 2.l4{n=11} 2.r4=11 1.c4 1.l2 1.l3 1.l4{n=2} 1.r4=2
            r7=(1,11,2) 1.c4 1.e4!GeneratorExit() 1.r4^ 2.c4 2.e4!GeneratorExit() 2.r4^
            """,
            13: """
            c5 l6 l7{a=<generatorobjectg>,b=<generatorobjectg>} 1.c1{n=0} 1.l2 1.l3 1.l4{n=1}
            1.r4=1 2.c1{n=10} 2.l2 2.l3 2.l4{n=11} 2.r4=11 1.c4 1.l2 1.l3 1.l4{n=2} 1.r4=2
            r7=(1,11,2)
            """,
        },
    )


def test_a_coroutine_that_suspends() -> None:
    check(
        """
        class Once:
            def __await__(self):
                return (yield "q")
            def __repr__(self): return "Once"
        async def g():
            x = await Once()
            return x + 1
        def f():
            c = g()
            c.send(None)
            try:
                c.send(4)
            except StopIteration as stop:
                return stop.value
        """,
        """
        c8 l9 l10{c=<coroutineobjectg>} 1.c5 1.l6 2.c2{self=Once} 2.l3 2.r3='q' 1.r6='q' l11
        l12 1.c6 2.c3 2.r3=4 1.e6!StopIteration(4) 1.l7{x=4} 1.r7=5 e12!StopIteration(5) l13
        l14{stop=StopIteration(5)} r14=5
        """,
    )


def test_awaits_of_coroutines_that_do_not_suspend() -> None:
    check(
        """
        async def one(): return 1
        async def g():
            return await one() + await one()
        def f():
            try:
                g().send(None)
            except StopIteration as stop:
                return stop.value
        """,
        """
        c4 l5 l6 1.c2 1.l3 2.c1 2.l1 2.r1=1 1.e3!StopIteration(1) 3.c1 3.l1 3.r1=1
        1.e3!StopIteration(1) 1.r3=2 e6!StopIteration(2) l7 l8{stop=StopIteration(2)} r8=2
        """,
    )


def test_a_generator_expression() -> None:
    check(
        """
        def f():
            k = 3
            return sum(x + k for x in (1, 2))
        """,
        """
        c1 l2 l3{k=3} 1.c3{.0=<tuple_iteratorobject>,k=3} 1.l3 1.r3=4 1.c3{x=1} 1.l3 1.r3=5
        1.c3{x=2} 1.l3 1.r3=None r3=9
        """,
    )


def test_an_async_generator() -> None:
    check(
        """
        async def g():
            yield 1
        def f():
            step = g().asend(None)
            try:
                step.send(None)
            except StopIteration as stop:
                return stop.value
        """,
        {
            10: """
            c3 l4 l5{step=<async_generator_asendobject>} l6 1.c1 1.l2
            1.r2=1 e6!StopIteration(1) l7
            l8{stop=StopIteration(1)} r8=1 1.c2 1.e2!GeneratorExit() 1.r2^
            """,
            11: """
            c3 l4 l5{step=<async_generator_asendobject>} l6 1.c1 1.l2
            1.r2=1 e6!StopIteration(1) l7
            l8{stop=StopIteration(1)} r8=1
            """,
        },
        recorder="python",  # holds the generator a moment longer
    )


def test_a_suspension_on_the_line_of_a_stop_iteration_is_no_way_out() -> None:
    check(
        """
        import asyncio
        async def one():
            return 1
        async def g():
            return await one(), await asyncio.sleep(0)
        def f():
            return asyncio.run(g())
        """,
        "c6 l7 1.c4 1.l5 2.c2 2.l3 2.r3=1 1.e5!StopIteration(1) 1.r5=None 1.c5 1.e5!StopIteration()"
        " 1.r5=(1,None) r7=(1,None)",
    )


def test_a_yield_of_none_on_the_line_of_a_stop_iteration_is_no_way_out() -> None:
    check(
        """
        def sub():
            return 1
            yield
        def g():
            x = (yield from sub()), (yield)
        def f():
            return list(g())
        """,
        "c6 l7 1.c4 1.l5 2.c1 2.l2 2.r2=1 1.e5!StopIteration(1) 1.r5=None 1.c5 1.r5=None r7=[None]",
    )
