"""Programs that break a naive rule, each with the rule that it breaks."""

from __future__ import annotations

TRAPS: dict[str, str] = {
    "an object shown as a number changes without a store": """
        class Box:
            def __init__(self, value):
                self.value = value
            def __repr__(self):
                return str(self.value)
        def bump(box):
            box.value += 1
        b = Box(0)
        bump(b)
        t = (b, 1)
        bump(b)
        pass
    """,
    "a class by the name of a built-in type": """
        class int:
            n = 0
            def __repr__(self):
                return "0"
        class Fake:
            n = 1
            def __repr__(self):
                return str(self.n)
        Fake.__module__ = "builtins"
        Fake.__qualname__ = "int"
        f = Fake()
        f.n = 2
        f.n = 3
    """,
    "UserString": """
        from collections import UserString
        s = UserString("a")
        s.data = "b"
        s.data = "c"
    """,
    "a star import": """
        pi = 3
        from math import *
        x = pi
        from cmath import *
        y = e
    """,
    "a module's variable set through sys.modules": """
        import sys
        y = 1
        sys.modules["__main__"].y = 4
        z = y
        setattr(sys.modules["__main__"], "y", 5)
        z = y
        sys.modules["__main__"].__dict__["y"] = 6
        z = y
    """,
    "globals() and exec": """
        y = 1
        globals()["y"] = 2
        exec("y = 3")
        def f():
            a = 1
            exec("b = 2")
            eval("[c := 3]")
            locals()["d"] = 4
            vars()["e"] = 5
            return a
        f()
    """,
    "global and nonlocal stored elsewhere": """
        n = 0
        def bump():
            global n, m
            n += 1
            m = n
            k = 0
            def inner():
                nonlocal k
                k += 1
                if k < 3:
                    inner()
                del_me()
            def del_me():
                nonlocal k
                k += 1
            inner()
            return k
        bump()
        bump()
    """,
    "f_locals": """
        import sys
        def poke():
            sys._getframe(1).f_locals["a"] = 7
        def f():
            a = 1
            poke()
            return a
        f()
    """,
    "a cell set through the closure": """
        def f():
            a = 1
            def g():
                return a
            g.__closure__[0].cell_contents = 5
            b = a
            return b
        f()
    """,
    "a finalizer that calls": """
        log = []
        count = 0
        class Loud:
            def __del__(self):
                global count
                count += 1
                log.append(self)
        def f():
            a = Loud()
            a = None
            b = Loud()
            return 1
        f()
        x = Loud()
        x = 3
        pass
    """,
    "a default factory": """
        from collections import defaultdict
        d = defaultdict(lambda: 7)
        x = d["a"]
        y = d["a"] + d["b"]
    """,
    "operators, attributes, conversions and comparisons that run code": """
        class V:
            def __init__(self, n):
                self.n = n
            def __add__(self, o):
                return V(self.n + 1)
            def __bool__(self):
                return self.n > 1
            def __eq__(self, o):
                return True
            def __hash__(self):
                return 1
            def __getattr__(self, name):
                return name
            def __setattr__(self, name, value):
                object.__setattr__(self, name, value)
            def __format__(self, spec):
                return "v"
            def __iter__(self):
                yield 1
                yield 2
            def __contains__(self, x):
                return False
            def __enter__(self):
                return self
            def __exit__(self, *a):
                return True
            def __getitem__(self, i):
                return i
            def __delitem__(self, i):
                pass
            @property
            def p(self):
                return 1
        v = V(1)
        w = v + v
        if v:
            x = 1
        elif w:
            x = 2
        x = v == w
        x = {v, w}
        x = v.nothing
        x = f"{v}"
        a, b = v
        x = 3 in v
        del v[1]
        x = v.p
        with v: raise ValueError
        with v:
            raise ValueError
        x = [*v]
        x = [y for y in v if v]
        assert v == w, v
        match v:
            case V(n=1):
                x = 5
            case _:
                x = 6
    """,
    "a generator resumed elsewhere, closed, thrown into, left": """
        def gen(n):
            try:
                while n:
                    got = yield n
                    n -= 1
            except ValueError:
                yield -1
            finally:
                n = 0
        def use(g):
            return next(g)
        g = gen(3)
        use(g)
        use(g)
        g.send(4)
        g.throw(ValueError)
        g.close()
        h = gen(2)
        next(h)
        h = None
        k = (x for x in gen(2))
        next(k)
        del k
        def delegating():
            x = yield from gen(2)
            y = yield from (i for i in range(2))
            return 5
        for z in delegating(): pass
        d = delegating()
        next(d)
        try:
            d.throw(KeyError)
        except KeyError as error:
            x = error
        def never():
            yield 1
        n = never()
        try:
            n.throw(OSError)
        except OSError:
            pass
        n = never()
        n.close()
    """,
    "StopIteration of a class's __next__": """
        class C:
            n = 0
            def __iter__(self):
                return self
            def __next__(self):
                self.n += 1
                if self.n > 2:
                    raise StopIteration
                return self.n
        for x in C():
            y = x
        for x in C(): y = x
        z = list(C())
        a, b = C()
        w = sum(C())
    """,
    "exceptions that C swallows": """
        class A:
            def __getattr__(self, name):
                raise AttributeError(name)
            def __len__(self):
                raise TypeError
        a = A()
        x = hasattr(a, "q")
        y = getattr(a, "q", 3)
        try:
            z = a.q
        except AttributeError:
            z = None
        w = list(iter([1]))
    """,
    "finally, return, break, continue, bare raise": """
        def f(n):
            for i in range(n):
                try:
                    if i == 0:
                        continue
                    if i == 1:
                        raise KeyError(i)
                    if i == 2:
                        break
                    return i
                except KeyError:
                    try:
                        raise
                    except KeyError as e:
                        pass
                finally:
                    n = n
            else:
                return "else"
            try:
                try:
                    raise ValueError
                finally:
                    n = 1
            except (
                KeyError,
                ValueError,
            ):
                n = 2
            try:
                return n
            finally:
                return n + 1
        f(1)
        f(2)
        f(3)
        f(5)
        def g():
            try:
                1 / 0
            finally:
                x = 1
        try: g()
        except ZeroDivisionError: pass
        def h():
            while True:
                try: return 1
                finally: break
        h()
    """,
    "one-line bodies": """
        def f(n): return n
        def g(n): yield n; n = 2; yield n
        def h(n):
            for i in range(n): n = i; f(n)
            while n: n -= 1
            with open("/dev/null") as o: n = 1
            try: f(1 / 0)
            except ZeroDivisionError: n = 2
            if n: n = 3
            else: n = 4
            return n
        x = [f(i) for i in g(1)]; y = h(3)
        z = (lambda a: a + 1)(2)
        class K: a = 1; b = [a for _ in range(2)]
    """,
    "statements over several lines": """
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
    """,
    "coroutines": """
        import asyncio
        class Wait:
            def __await__(self):
                yield
                return 3
        class Context:
            async def __aenter__(self):
                await asyncio.sleep(0)
                return self
            async def __aexit__(self, *a):
                await asyncio.sleep(0)
                return True
        async def numbers(n):
            try:
                for i in range(n):
                    yield i
                    await asyncio.sleep(0)
            finally:
                n = 0
        async def work(n):
            total = 0
            async for i in numbers(n):
                total += i
            async with Context() as c:
                raise ValueError
            total += sum([j async for j in numbers(2)])
            try:
                await asyncio.wait_for(asyncio.sleep(10), 0.001)
            except asyncio.TimeoutError:
                total += 1
            async for i in numbers(5):
                if i == 1: break
            return total
        async def main():
            a = await asyncio.gather(work(2), work(3))
            t = asyncio.create_task(asyncio.sleep(10))
            await asyncio.sleep(0)
            t.cancel()
            try:
                await t
            except asyncio.CancelledError:
                a = None
            return a
        x = asyncio.run(main())
    """,
    "threads": """
        import threading
        n = 0
        def work(k):
            global n
            for i in range(k):
                n += i
        def gen():
            yield 1
            yield 2
        g = gen()
        next(g)
        t = [threading.Thread(target=work, args=(k,)) for k in range(3)]
        for one in t: one.start()
        for one in t: one.join()
        u = threading.Thread(target=lambda: next(g))
        u.start()
        u.join()
    """,
    "a signal handler": """
        import signal
        seen = 0
        def handler(number, frame):
            global seen
            seen += 1
            if seen > 1:
                raise OSError
        signal.signal(signal.SIGALRM, handler)
        def spin():
            i = 0
            while seen < 1:
                i = i
            return i
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        spin()
        try:
            while True:
                pass
        except OSError:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    """,
    "an exit handler, and an exit": """
        import atexit
        import sys
        def bye(n):
            m = n + 1
            return m
        atexit.register(bye, 3)
        try:
            bye(1)
        finally:
            sys.exit(0)
    """,
    "functions that are called by another name": """
        def f(n):
            return n
        def g(n):
            return n + 1
        def h(n):
            return n
        class C:
            k = g
            h = staticmethod(h)
        table = {"f": f}
        x = table["f"](1)
        y = C.h(2)
        z = C().k if True else None
        w = list(map(f, [1, 2]))
        v = sorted([2, 1], key=lambda q: -q)
        for u in map(lambda q: q, [1]): pass
        e = max([1, 2], key=g)
    """,
    "class bodies, metaclasses, properties of classes": """
        class Meta(type):
            @classmethod
            def __prepare__(mcs, name, bases, **k):
                return {"given": 1}
            def __new__(mcs, name, bases, ns, **k):
                return super().__new__(mcs, name, bases, ns)
            def __init_subclass__(cls):
                pass
        class A(
            metaclass=Meta,
            x=1,
        ):
            a: int = 1
            b = [a, a]
            def f(self):
                return __class__
            for i in range(2):
                c = i
        class B(A):
            def __init_subclass__(cls):
                cls.n = 1
        class D(B):
            pass
        from enum import Enum, auto
        class E(Enum):
            P = auto()
            Q = auto()
        from dataclasses import dataclass, field
        @dataclass
        class F:
            a: int = 1
            b: list = field(default_factory=lambda: [1])
            def __post_init__(self):
                self.a += 1
        f = F()
        g = F(2)
        h = f == g
    """,
    "comprehensions that hide a variable": """
        def f(n):
            x = 1
            y = [x for x in range(n)]
            z = {x: [x for x in range(x)] for x in range(n)}
            return (x, y, [(q := k) for k in z])
        def h(n):
            x = 1
            fs = [lambda: x for x in range(n)]
            v = [i() for i in fs]
            return x
        def g(n):
            x = 1
            try:
                w = [1 // x for x in range(n)]
            except ZeroDivisionError:
                w = x
            return w
        x = 5
        y = [x for x in range(3)]
        z = f(2)
        v = g(2), h(2)
        s = {y for y in "ab" if (t := y)}
    """,
    "a variable whose first binding comes late": """
        def f(n):
            if n:
                late = 1
            def g():
                nonlocal late
                late = 2
            g()
            del late
            try:
                late
            except NameError:
                late = 3
            return late
        f(0)
        f(1)
    """,
    "a caught RecursionError": """
        def f(n):
            return f(n + 1) + 1
        x = 1
        try:
            f(0)
        except RecursionError:
            x = 2
        y = 3
    """,
    "an exception that comes back through a generator and a with": """
        from contextlib import contextmanager, suppress, ExitStack
        @contextmanager
        def manager(n):
            try:
                yield n
            except ValueError:
                n = 2
            finally:
                n = 3
        with manager(1) as m:
            raise ValueError
        with suppress(KeyError), manager(2):
            raise KeyError
        with ExitStack() as stack:
            stack.enter_context(manager(3))
            stack.callback(lambda: 4)
        try:
            with manager(4): raise OSError
        except OSError: pass
    """,
    "a repr that binds": """
        class R:
            def __init__(self, store):
                self.store = store
            def __repr__(self):
                self.store()
                return "R"
        def f():
            n = 0
            def store():
                nonlocal n
                n += 1
            r = R(store)
            a = 1
            b = 2
            return n
        f()
    """,
    "except* and groups": """
        import sys
        if sys.version_info >= (3, 11):
            exec(compile('''
        def f():
            try:
                raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
            except* ValueError as e:
                x = 1
            except* KeyError:
                x = 2
            return x
        f()
        '''.replace("\\n        ", "\\n"), "<string>", "exec"))
    """,
}
"""Scripts by what is odd about them."""
