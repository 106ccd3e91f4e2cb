"""A property with a setter."""
class Celsius:
    def __init__(self, degrees):
        self._degrees = degrees

    @property
    def degrees(self):
        return self._degrees

    @degrees.setter
    def degrees(self, value):
        self._degrees = max(value, -273)


c = Celsius(20)
c.degrees = -300
print(c.degrees)
