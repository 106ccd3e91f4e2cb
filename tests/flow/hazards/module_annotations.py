# A module's annotations are a variable that no instruction names.

known = __annotations__.copy() if "__annotations__" in globals() else {}
count: int = 1
name: str
__annotations__["later"] = float
if len(known) < len(__annotations__):
    count += 1


class Point:
    x: int = count
    y: "int"


print(count, sorted(__annotations__), sorted(Point.__annotations__))
