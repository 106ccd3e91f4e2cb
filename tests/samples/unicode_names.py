"""Identifiers and text beyond ASCII; an identifier is normalised (NFKC)."""
def größe(ﬁrst, π=3):
    ñ = "日本 😀"
    return first, π, ñ


print(größe(1)[1])
