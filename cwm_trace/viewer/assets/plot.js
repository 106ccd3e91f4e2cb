// What a variable held over time, and the map of the whole execution.

const NUMBER = /^[+-]?(\d[\d_]*\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?)$/i;
const CONSTANTS = { True: 1, False: 0 };

function numberOf(slot) {
  if (!slot) return null;
  if (slot[0] in CONSTANTS) return CONSTANTS[slot[0]];
  return NUMBER.test(slot[0]) ? Number(slot[0].replaceAll("_", "")) : null;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Steps of one or two histories, `[[row, number], …]` each; null if fewer than two numbers are finite.
function stepPlot(histories, rows, here, label) {
  const values = histories
    .flat()
    .map((point) => point[1])
    .filter(Number.isFinite);
  if (values.length < 2) return null;
  const [wide, high, edge] = [640, 120, 6];
  let [low, top] = [Infinity, -Infinity];
  for (const value of values) [low, top] = [Math.min(low, value), Math.max(top, value)];
  const x = (row) => edge + ((wide - 2 * edge) * row) / Math.max(1, rows - 1);
  const y = (value) => (top === low ? high / 2 : high - edge - ((high - 2 * edge) * (value - low)) / (top - low));
  const lines = histories.map((history, side) => {
    let path = "";
    let open = false;
    const most = Math.max(1, Math.ceil(history.length / 4000));
    for (let at = 0; at < history.length; at += most) {
      const [row, value] = history[at];
      if (!Number.isFinite(value)) {
        open = false;
        continue;
      }
      path += open ? `H${x(row).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(row).toFixed(1)} ${y(value).toFixed(1)}`;
      open = true;
    }
    if (open) path += `H${(wide - edge).toFixed(1)}`;
    return svg("path", { d: path, class: side ? "line guess" : "line real" });
  });
  const cursor = svg("line", { x1: x(here), x2: x(here), y1: 0, y2: high, class: "cursor" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    ...lines,
    cursor,
  );
  return make(
    "figure",
    {},
    picture,
    make("figcaption", {}, `from ${low} to ${top}; the dashed line is what was predicted`),
  );
}

class HistoryPane {
  constructor(page) {
    this.page = page;
    this.box = document.getElementById("history");
    this.turn = 0;
    this.name = "";
    this.show();
  }

  async show() {
    const { page, name } = this;
    const turn = (this.turn += 1);
    if (!name) {
      this.box.replaceChildren(
        make("p", { class: "gone" }, "Choose a variable above: here is what it held over time."),
      );
      return;
    }
    const main = page.sides[0];
    const row = Math.min(page.row, main.count - 1);
    const activation = main.activations[row];
    const guess = page.guess ? page.sides[page.guess] : null;
    const frame = guess ? guess.frame(row) : -1;
    const real = await main.history(name, activation);
    const other =
      guess && frame >= 0 && frame < guess.count ? await guess.history(name, guess.activations[frame]) : [];
    if (turn !== this.turn) return;
    const histories = [real, other.map(([at, slot]) => [guess.row(at), slot])];
    const title = make(
      "h3",
      {},
      ...visible(short(name, 80)),
      ` in call ${activation}: ${real.length.toLocaleString("en")} values`,
    );
    const numbers = histories.map((history) => history.map(([at, slot]) => [at, numberOf(slot)]));
    const plot = stepPlot(numbers, page.walk.count, page.row, `${name} over time`);
    const box = make("div", { id: "value-list" });
    this.box.replaceChildren(title, ...(plot ? [plot] : []), box);
    const said = new Map(histories[1]);
    const rows = [...new Set([...real.map((point) => point[0]), ...said.keys()])].sort((a, b) => a - b);
    const held = new Map(real);
    const part = (text, map, at, kind) =>
      map.has(at)
        ? [
            make(
              "span",
              { class: kind },
              text,
              ...(map.get(at) ? visible(short(map.get(at)[0], 120)) : ["not bound"]),
            ),
          ]
        : [];
    const draw = (number) => {
      const at = rows[number];
      const nodes = [
        make("span", { class: "number" }, String(at)),
        ...part("", held, at, "value"),
        ...(guess ? part("predicted ", said, at, "aside") : []),
      ];
      return { kind: "", nodes };
    };
    const list = new List(box, `Values of ${name}`, draw, (number) => page.go(rows[number]));
    list.fill(rows.length);
    list.choose(rows.filter((at) => at <= page.row).length - 1);
  }
}

// The whole execution, a column of pixels for some rows: how deep, what is wrong, how surprising.
class Minimap {
  constructor(page) {
    this.page = page;
    this.canvas = document.getElementById("map");
    const go = (event) => {
      const { left, width } = this.canvas.getBoundingClientRect();
      page.go(Math.floor(((event.clientX - left) / width) * page.walk.count));
    };
    this.canvas.addEventListener("pointerdown", go);
    this.canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    const { page, canvas } = this;
    const wide = Math.max(1, Math.floor(canvas.clientWidth * devicePixelRatio));
    const high = Math.floor(40 * devicePixelRatio);
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    const look = getComputedStyle(document.documentElement);
    const colour = (name) => look.getPropertyValue(`--${name}`).trim();
    const [calm, wrong, given, heat] = ["map", "wrong", "faint", "heat"].map(colour);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, wide, high);
    const { count } = page.walk;
    const main = page.sides[0];
    const guess = page.guess ? page.sides[page.guess] : null;
    let deepest = 1;
    for (const depth of main.depths) deepest = Math.max(deepest, depth + 1);
    const hottest = guess && guess.surprise ? Math.max(1e-6, ...sampled(guess.surprise)) : 0;
    for (let x = 0; x < wide; x++) {
      const first = Math.floor((x * count) / wide);
      const last = Math.max(first + 1, Math.floor(((x + 1) * count) / wide));
      let [depth, bad, known, most] = [0, false, true, 0];
      for (let row = first; row < last && row < count; row++) {
        if (row < main.count) depth = Math.max(depth, main.depths[row] + 1);
        const verdict = page.walk.verdict(row, page.guess);
        bad = bad || WRONG.has(verdict);
        known = known && verdict === "g";
        const frame = guess && hottest ? guess.frame(row) : -1;
        if (frame >= 0 && guess.surprise[frame] != null) most = Math.max(most, guess.surprise[frame]);
      }
      const tall = Math.max(2, (high * 0.75 * depth) / deepest);
      context.fillStyle = bad ? wrong : known && guess ? given : calm;
      context.fillRect(x, high - tall, 1, tall);
      if (bad) context.fillRect(x, 0, 1, high * 0.12);
      if (hottest && most > 0) {
        context.globalAlpha = Math.min(1, 0.15 + (0.85 * Math.log1p(most)) / Math.log1p(hottest));
        context.fillStyle = heat;
        context.fillRect(x, high * 0.14, 1, high * 0.1);
        context.globalAlpha = 1;
      }
    }
  }
}

// At most some thousands of the values, the greatest of each stretch.
function sampled(values) {
  const most = [];
  const stretch = Math.ceil(values.length / 5000);
  for (let at = 0; at < values.length; at += stretch) {
    let top = 0;
    for (let i = at; i < Math.min(at + stretch, values.length); i++) top = Math.max(top, values[i] || 0);
    most.push(top);
  }
  return most;
}
