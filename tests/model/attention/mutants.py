"""Faults put into the kernels on purpose: a test that cannot find them is worth nothing.

A mutant replaces one piece of source, the `which`-th place where it stands (all places if None). Faults of
the source are run in the simulator, those of the inline assembly, which it cannot see, by the emulator. A
mutant that changes nothing about the results says why in `equivalent`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    which: int | None = None
    head_dim: int = 64
    equivalent: str = ""

    def apply(self, text: str) -> str:
        assert self.old in text, f"{self.name}: {self.old!r} is not in {self.file}"
        if self.which is None:
            return text.replace(self.old, self.new)
        parts = text.split(self.old)
        assert self.which + 1 < len(parts), f"{self.name}: {self.old!r} comes {len(parts) - 1} times"
        left, right = parts[: self.which + 1], parts[self.which + 1 :]
        return self.old.join(left) + self.new + self.old.join(right)


ATTEND, LAYOUT, COMBINE, PRIMS = "attend.cuh", "layout.cuh", "combine.cuh", "prims.cuh"


def _dropped(file: str, what: str, count: int) -> list[Mutant]:
    return [Mutant(f"drop {what} {which}", file, what, "", which) for which in range(count)]


SOURCE: dict[str, list[Mutant]] = {
    "order": [  # barriers and copies
        *_dropped(ATTEND, "block_sync();", 4),
        *_dropped(ATTEND, "cp_wait_all();", 2),
        *_dropped(ATTEND, "cp_commit();", 3),
        Mutant("one warp skips a barrier", ATTEND, "block_sync();", "if (at.row_warp) block_sync();", 0),
        Mutant("copy keys past the end", ATTEND, "if (key + T::KEYS < item.key_end) copy", "copy"),
        Mutant(
            "wait for values before the scores only", ATTEND,
            "cp_wait_all();\n    block_sync();  // values", "// values",
        ),
    ],
    "shared memory": [
        Mutant("no swizzle", LAYOUT, "(chunk ^ turn) << 4", "chunk << 4"),
        Mutant("no swizzle, short rows", LAYOUT, "(chunk ^ turn) << 4", "chunk << 4", head_dim=32),
        Mutant("swizzle by single rows", LAYOUT, "row / LINE_ROWS &", "row &", head_dim=32),
        Mutant("no swizzle in the merge", ATTEND, "(pair ^ (row & 3) << 2)", "pair"),
        Mutant("V begins a row early", LAYOUT, "V = K + KEYS * ROW_BYTES", "V = K + (KEYS - 1) * ROW_BYTES"),
    ],
    "keys": [  # range, ring, pages, strides
        Mutant("read past the item's keys", ATTEND, "row < left ? slot", "true ? slot"),
        Mutant("no ring within a tile", ATTEND, "if (slot >= capacity) slot -= capacity;", ""),
        Mutant("no ring between tiles", ATTEND, "if (slot >= capacity) slot -= capacity, ++page;", ""),
        Mutant("never turn the page", ATTEND, "slot -= capacity, ++page", "slot -= capacity"),
        Mutant("page table of the first text", ATTEND, "pages += (i64)item.text *", "pages += 0 *"),
        Mutant(
            "values by the keys' stride", ATTEND,
            "kv_head * values.head_stride", "kv_head * keys.head_stride",
        ),
        Mutant("first key head for all", ATTEND, "keys.data += (i64)kv_head * keys.head_stride;", ""),
        Mutant("second store forgotten", ATTEND, "second = item.segment == 1", "second = false"),
        Mutant("queries by a dense stride", ATTEND, "head * args.q_head_stride", "head * HEAD_DIM"),
    ],
    "mask": [
        Mutant("one key too many", ATTEND, "number >= hi)", "number > hi)"),
        Mutant("first key lost", ATTEND, "number < lo ||", "number <= lo ||"),
        Mutant("no mask on the right", ATTEND, "|| key + T::KEYS > min_of(item.all_to, item.key_end)", ""),
        Mutant("no mask on the left", ATTEND, "key < item.all_from ||", ""),
        Mutant(
            "mask ignores the item's end", ATTEND,
            "min_of(load(interval + 1), item.key_end)", "load(interval + 1)",
        ),
        Mutant("bounds of the first segment", ATTEND, "2 * (i64)item.segment * args.tokens", "0"),
        Mutant(
            "bounds of rows beyond the item", ATTEND,
            "group.token(min_of(row, last))", "group.token(row)",
        ),
        Mutant("division rounds down", LAYOUT, "(65535 + size) / size", "65535 / size"),
    ],
    "tensor cores": [
        Mutant(
            "K matrices permuted", ATTEND,
            "(lane >> 4 << 3), lane >> 3 & 1", "(lane >> 3 & 1) * 8, lane >> 4",
        ),
        Mutant(
            "K fragments swapped", ATTEND,
            "mma(s.at[a][2 * n], q[a], k[0], k[1])", "mma(s.at[a][2 * n], q[a], k[0], k[2])",
        ),
        Mutant("V fragments swapped", ATTEND, "weights[a], v[0], v[1])", "weights[a], v[0], v[2])"),
        Mutant("V not transposed", ATTEND, "ldmatrix_transposed(v", "ldmatrix(v"),
        Mutant(
            "all warps take the first keys' values", ATTEND,
            "swizzle(at.key_warp * T::WARP_KEYS + (lane & 15)", "swizzle((lane & 15)",
        ),
        Mutant(
            "weights packed in the wrong order", ATTEND,
            "p.at[a][2 * n + i / 2][i % 2 * 2], p", "p.at[a][2 * n + i % 2][i / 2 * 2], p",
        ),
    ],
    "softmax": [
        Mutant("no rescaling of the sum", ATTEND, "run.sum[a][half] *= shrink;", ""),
        Mutant("no rescaling of the output", ATTEND, "run.out[a][d][half * 2 + i] *= shrink;", ";"),
        Mutant("maximum of half the lanes", ATTEND, "top = max_of(top, shuffle_xor(top, 2));", ""),
        Mutant("sum of half the lanes", ATTEND, "run.sum[a][half] += shuffle_xor(run.sum[a][half], 2);", ""),
        Mutant("-inf minus -inf", ATTEND, "top == neg_inf() ? 0.f : top * scale;  //", "top * scale;  //"),
        Mutant("division by an empty sum", ATTEND, "sum > 0.f ? 1.f / sum : 0.f;", "1.f / sum;"),
        Mutant(
            "maximum not scaled", ATTEND,
            "run.max[a][half] * scale + log2_fast", "run.max[a][half] + log2_fast",
        ),
    ],
    "results": [
        Mutant("rows beyond the item written", ATTEND, "if (row >= rows) continue;", ""),
        Mutant(
            "rows beyond the item merged", ATTEND,
            "result.item.tokens * result.group.size * (HEAD", "16 * (HEAD",
        ),
        Mutant(
            "rows swapped in the merge", ATTEND,
            "const int row = half * 8 + (at.lane >> 2);", "const int row = half * 8 + (at.lane >> 2 ^ 1);",
        ),
        Mutant("merge without the warps' maxima", ATTEND, "exp2_fast(max[w] * scale - base)", "1.f"),
        Mutant("base 2 instead of nats", ATTEND, "lse_log2 * LN2", "lse_log2"),
        Mutant(
            "parts in nats", ATTEND,
            "store(args.part_lse + index, lse_log2)", "store(args.part_lse + index, lse_log2 * LN2)",
        ),
        Mutant("parts of all key heads in one place", ATTEND, "(i64)kv_head * args.part_rows +", ""),
        Mutant("combine overwrites final results", COMBINE, "if (begin == end) return;", ""),
        Mutant(
            "combine forgets a part", COMBINE,
            "int i = begin; i < end; ++i) {", "int i = begin; i + 1 < end; ++i) {",
        ),
        Mutant("combine without the maximum", COMBINE, "base = top == neg_inf() ? 0.f : top", "base = 0.f"),
        Mutant("every warp combines every head", COMBINE, "head += COMBINE_WARPS", "++head"),
        Mutant("head offset lost in combine", COMBINE, "args.part_rows + head;", "args.part_rows;"),
    ],
    "equivalent": [  # what changes nothing
        Mutant(
            "load fragments of Q every time", ATTEND, "T::KEEP_Q && key == item.key_begin", "T::KEEP_Q",
            equivalent="Q stays where it is, so the fragments are the same every time: only slower",
        ),
        Mutant(
            "mask every tile", ATTEND,
            "if (key < item.all_from || key + T::KEYS > min_of(item.all_to, item.key_end))", "",
            equivalent="the mask of a tile that every row sees whole changes no score: only slower",
        ),
    ],
}  # fmt: skip

ASSEMBLY: dict[str, list[Mutant]] = {
    "packing": [
        Mutant(
            "halves packed the wrong way around", PRIMS,
            ': "=r"(both) : "f"(high), "f"(low)', ': "=r"(both) : "f"(low), "f"(high)',
        ),
    ],
    "ldmatrix": [
        Mutant("ldmatrix without .trans", PRIMS, "m8n8.x4.trans.shared", "m8n8.x4.shared"),
        Mutant(
            "registers of ldmatrix swapped", PRIMS,
            "x4.shared.b16 {%0,%1,%2,%3}", "x4.shared.b16 {%0,%2,%1,%3}",
        ),
        Mutant(
            "registers of the transposed swapped", PRIMS,
            "x4.trans.shared.b16 {%0,%1,%2,%3}", "x4.trans.shared.b16 {%0,%2,%1,%3}",
        ),
    ],
    "mma": [
        Mutant("A operands permuted", PRIMS, '"r"(a[1]), "r"(a[2])', '"r"(a[2]), "r"(a[1])'),
        Mutant("B operands swapped", PRIMS, '"r"(b0), "r"(b1)', '"r"(b1), "r"(b0)'),
        Mutant("accumulators swapped", PRIMS, '"+f"(c[0]), "+f"(c[1])', '"+f"(c[1]), "+f"(c[0])'),
        Mutant(
            "result not accumulated in place", PRIMS,
            "{%8,%9}, {%0,%1,%2,%3};", "{%8,%9}, {%1,%0,%2,%3};",
        ),
        Mutant("bf16 taken for fp16", PRIMS, "f32.bf16.bf16.f32", "f32.f16.f16.f32"),
    ],
    "cp.async": [
        Mutant("cp.async without zeros", PRIMS, "[%0], [%1], 16, %2;", "[%0], [%1], 16, 16;"),
        Mutant("cp.async of half a chunk", PRIMS, "live ? 16 : 0", "live ? 8 : 0"),
        Mutant("cp.async always copies", PRIMS, "live ? 16 : 0", "16"),
        Mutant("a copy may still be under way", PRIMS, "wait_group 0", "wait_group 1"),
        Mutant("no commit", PRIMS, '"cp.async.commit_group;"', '""'),
    ],
    "shuffle": [
        Mutant("half a warp shuffles", PRIMS, "0xffffffffu, x", "0x0000ffffu, x"),
    ],
    "pairs": [
        Mutant("shared pair swapped", PRIMS, '::"r"(to), "f"(x), "f"(y)', '::"r"(to), "f"(y), "f"(x)'),
        Mutant(
            "shared pair read in reverse", PRIMS,
            '"ld.shared.v2.f32 {%0,%1}', '"ld.shared.v2.f32 {%1,%0}',
        ),
        Mutant("parts swapped", PRIMS, '::"l"(to), "f"(x), "f"(y)', '::"l"(to), "f"(y), "f"(x)'),
        Mutant("parts read in reverse", PRIMS, '"ld.global.v2.f32 {%0,%1}', '"ld.global.v2.f32 {%1,%0}'),
    ],
    "arithmetic": [
        Mutant("plus infinity", PRIMS, "0xff800000", "0x7f800000"),
        Mutant("logarithm for exponential", PRIMS, "ex2.approx.ftz.f32", "lg2.approx.f32"),
    ],
    "equivalent": [
        Mutant(
            "no prefetch hint", PRIMS, ".L2::128B", "",
            equivalent="a hint to the L2 cache: no result depends on it",
        ),
    ],
}  # fmt: skip
